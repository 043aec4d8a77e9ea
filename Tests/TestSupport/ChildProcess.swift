import CProcess
import Glibc
import Synchronization

/// Another program, from its start to its end.
///
/// It gets no descriptors of this process but its own three, so that programs started side by side do not keep each other's pipes
/// open. A thread of its own reads what it writes and waits for its end, so nobody blocks a thread of Swift's pool. It is killed,
/// with what it started, when its time is up and when nobody has it any more.
public final class ChildProcess: Sendable {
    public struct Ending: Sendable {
        /// What it exited with; -1 when a signal ended it.
        public let status: Int32
        /// What it wrote, to both of its outputs.
        public let output: String
    }
    public struct StartError: Error, CustomStringConvertible {
        public let description: String

        public init(description: String) { self.description = description }
    }
    private let life: ChildLife
    private let input: Mutex<Int32?>

    /// - Parameter limit: it is killed when it still writes then.
    public init(_ program: String, _ arguments: [String], limit: Duration = .seconds(500)) throws {
        let input = try openPipe()
        let output = try openPipe()
        defer {
            close(input.read)
            close(output.write)
        }
        do {
            life = ChildLife(try spawn(program, arguments, input: input.read, output: output.write))
        } catch {
            close(input.write)
            close(output.read)
            throw error
        }
        self.input = Mutex(input.write)
        let source = output.read
        detachThread { [life] in life.attend(source, until: .now + limit) }
    }

    deinit {
        closeInput()
        life.kill()
    }

    /// Ends it at once.
    public func kill() { life.kill() }

    /// Its input ends.
    public func closeInput() {
        input.withLock { input in
            if let open = input { close(open) }
            input = nil
        }
    }

    /// The first line that it writes, or what it wrote instead.
    public func firstLine() async throws -> String { try await life.firstLine() }

    /// Waits for its end.
    public func ending() async throws -> Ending { try await life.ending() }

    /// Runs a program to its end.
    public static func run(_ program: String, _ arguments: [String], limit: Duration = .seconds(500)) async throws -> Ending {
        let process = try ChildProcess(program, arguments, limit: limit)
        process.closeInput()
        return try await process.ending()
    }
}

/// What the thread that attends to a process shares with those who wait for it.
private final class ChildLife: Sendable {
    private struct State {
        var output: [UInt8] = []
        var status: Int32?
    }
    private let id: pid_t
    private let state = Mutex(State())
    private let changes = Signal()

    init(_ id: pid_t) { self.id = id }

    /// With all of its group. Under the lock that its end is noted with: after that the number may be another's.
    func kill() { state.withLock { if $0.status == nil { Glibc.kill(-id, SIGKILL) } } }

    func firstLine() async throws -> String {
        let end = UInt8(ascii: "\n")
        try await changes.wait(for: "a line of a process") { state.withLock { $0.output.contains(end) || $0.status != nil } }
        return String(decoding: state.withLock { $0.output.prefix { $0 != end } }, as: UTF8.self)
    }

    func ending() async throws -> ChildProcess.Ending {
        try await changes.wait(for: "the end of a process") { state.withLock { $0.status != nil } }
        return state.withLock { .init(status: $0.status ?? -1, output: String(decoding: $0.output, as: UTF8.self)) }
    }

    /// Reads until nobody writes any more, then waits for the end.
    func attend(_ source: Int32, until end: ContinuousClock.Instant) {
        var part = [UInt8](repeating: 0, count: 65536)
        while true {
            let left = max(0, ContinuousClock.now.duration(to: end) / .milliseconds(1))
            var wanted = pollfd(fd: source, events: Int16(POLLIN), revents: 0)
            if poll(&wanted, 1, Int32(left.rounded(.up))) == 0 { kill() }
            let count = read(source, &part, part.count)
            guard count > 0 else { break }
            state.withLock { $0.output += part[..<count] }
            changes.raise()
        }
        close(source)
        var information = siginfo_t()
        while waitid(P_PID, id_t(id), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
        state.withLock { state in
            var status: Int32 = 0
            while waitpid(id, &status, 0) < 0, errno == EINTR {}
            state.status = status & 0x7f == 0 ? status >> 8 & 0xff : -1
        }
        changes.raise()
    }
}

private func openPipe() throws -> (read: Int32, write: Int32) {
    var ends: [Int32] = [0, 0]
    guard pipe2(&ends, O_CLOEXEC) == 0 else { throw ChildProcess.StartError(description: "no pipe: errno \(errno)") }
    return (ends[0], ends[1])
}

/// Starts a program in a process group of its own.
private func spawn(_ program: String, _ arguments: [String], input: Int32, output: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, input, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, output, 2)
    posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))

    var words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var id: pid_t = 0
    let problem = posix_spawn(&id, program, &actions, &attributes, &words, environ)
    guard problem == 0 else {
        throw ChildProcess.StartError(description: "\(program) does not start: \(String(cString: strerror(problem)))")
    }
    return id
}
