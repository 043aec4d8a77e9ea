import CommandLineTool
import Foundation
import SiloClient
import Synchronization

struct RunFailure: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text }
}

/// The main job: one Silo job for each file of a folder, worker processes that compute, and an account of every file.
final class Run {
    private let arguments: Arguments
    private let isChaos: Bool
    private let programs: String
    /// A name for this run's jobs and task group.
    private let name = "checksum-\(UUID().uuidString.prefix(8).lowercased())"
    private var server: ChildProcess?
    private var serverArguments: [String] = []
    private var workers: [ChildProcess] = []
    private var address = ""
    private let log: FileHandle?
    private let logPath: String

    init(_ arguments: Arguments) throws {
        self.arguments = arguments
        isChaos = arguments.has("chaos")
        programs = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent().path
        logPath = NSTemporaryDirectory() + name + ".log"
        _ = FileManager.default.createFile(atPath: logPath, contents: nil)
        log = FileHandle(forWritingAtPath: logPath)
        log?.seekToEndOfFile()
    }

    func run() async throws {
        let workerCount = try arguments.number("workers", default: 3, in: 1...64)
        let signals = Interruption.shared.watch()
        defer { withExtendedLifetime(signals) {} }
        let files = try find()
        try await startServer()
        var folder: String?
        if let place = serverArguments.firstIndex(of: "--data") { folder = serverArguments[place + 1] }
        defer {
            for worker in workers { worker.stop() }
            server?.stop()
            if let folder { try? FileManager.default.removeItem(atPath: folder) }
        }
        for _ in 0..<workerCount { workers.append(try startWorker()) }
        print("\(workerCount) worker processes; log: \(logPath)")

        let client = Client(address)
        let begun = ContinuousClock.now
        let jobs = try await enqueue(files, client)
        let summaries = try await collect(jobs, client)
        let seconds = begun.duration(to: .now)
        Report(summaries: summaries).show()

        // Every file once: as many results as files, each of its own file.
        let paths = Set(summaries.map(\.path))
        guard summaries.count == files.count, paths == Set(files) else {
            throw RunFailure("\(files.count) files, but \(summaries.count) results for \(paths.count) of them")
        }
        print("\nverifying against sha256sum")
        let wrong = try Report(summaries: summaries).differences()
        guard wrong.isEmpty else { throw RunFailure("\(wrong.count) results differ from sha256sum, first \(wrong[0])") }
        for worker in workers { worker.stop() }
        try await clean(jobs)
        print(
            "ok: \(files.count) files, each accounted for exactly once, all equal to sha256sum, in "
                + "\(seconds.formatted(.units(allowed: [.seconds], fractionalPart: .show(length: 1))))"
        )
        try? FileManager.default.removeItem(atPath: logPath)
    }

    // MARK: Parts

    /// Every regular file below the folder; links are not followed.
    private func find() throws -> [String] {
        let root = URL(fileURLWithPath: arguments.text("directory", default: "/usr/share/doc")).resolvingSymlinksInPath().path
        guard let folder = opendir(root) else {
            throw RunFailure("--directory: cannot read \(root): \(String(cString: strerror(errno)))")
        }
        closedir(folder)
        guard let walk = FileManager.default.enumerator(
            at: URL(fileURLWithPath: root), includingPropertiesForKeys: [.isRegularFileKey, .isSymbolicLinkKey]
        ) else { throw RunFailure("--directory: cannot read \(root)") }
        var files: [String] = []
        for case let url as URL in walk {
            let values = try? url.resourceValues(forKeys: [.isRegularFileKey, .isSymbolicLinkKey])
            if values?.isRegularFile == true, values?.isSymbolicLink != true, access(url.path, R_OK) == 0 {
                files.append(url.path)
            }
        }
        guard !files.isEmpty else { throw RunFailure("there are no files in \(root); name a folder with --directory") }
        let limit = try arguments.number("limit", default: .max, in: 1...Int.max)
        let taken = Array(files.sorted().prefix(limit))
        let all = taken.count < files.count ? "\(taken.count) of " : ""
        print("\(all)\(files.count) file\(files.count == 1 ? "" : "s") in \(root)")
        return taken
    }

    private func startServer() async throws {
        if let given = arguments.text("address") {
            address = given
            guard !isChaos else {
                throw Arguments.Mistake("--chaos kills the server, so it starts its own: leave --address away")
            }
            return try await reach(address)
        }
        // Data of its own: what an older program left in the usual place does not concern it.
        serverArguments = ["--data", NSTemporaryDirectory() + name]
        Interruption.shared.owns(NSTemporaryDirectory() + name)
        if isChaos {
            // A server of its own, to be killed.
            address = "127.0.0.1:\(Int.random(in: 20_000...29_999))"
            serverArguments += ["--listen", address]
        } else {
            address = "127.0.0.1:7450"
            if (try? await Client(probing: address).ping()) != nil {
                print("using the server that listens on \(address)")
                return
            }
        }
        server = try ChildProcess(programs + "/silo", serverArguments, log: log)
        try await waitForServer()
        print("server on \(address), with data of its own")
    }

    /// Returns when the server answers. Whoever waits is told for what, and not for long.
    private func reach(_ address: String) async throws {
        // Only tells; ends when this returns.
        let telling = Task {
            try await Task.sleep(for: .seconds(2))
            print("no answer from \(address) yet, trying for 10 s")
        }
        defer { telling.cancel() }
        let end = ContinuousClock.now + .seconds(10)
        while true {
            do { return try await Client(probing: address).ping() } catch {
                let isAway = if case .unavailable = error { true } else if case .timedOut = error { true } else { false }
                guard isAway, .now < end else { throw RunFailure("no server answers at \(address): \(error)") }
            }
            try await Task.sleep(for: .milliseconds(250))
        }
    }

    private func waitForServer() async throws {
        for _ in 0..<200 {
            if (try? await Client(probing: address).ping()) != nil { return }
            guard server?.isRunning ?? false else { break }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw RunFailure("the server does not start; see \(logPath)")
    }

    private func startWorker() throws -> ChildProcess {
        try ChildProcess(programs + "/checksum", [
            "work", "--address", address, "--group", name, "--fail-percent", arguments.text("fail-percent", default: "5"),
        ], log: log)
    }

    private func enqueue(_ files: [String], _ client: Client) async throws -> [JobHandle] {
        let bar = ProgressBar("enqueued", total: files.count)
        var handles: [JobHandle] = []
        for start in stride(from: 0, to: files.count, by: 500) {
            let batch = try files[start..<min(start + 500, files.count)].map { path in
                var job = try NewJob(name, FileRequest(path: path))
                job.retry = RetryPolicy(retries: 5, initialInterval: .milliseconds(50), maxInterval: .seconds(2))
                job.metadata = ["run": name]
                return job
            }
            for result in try await client.enqueue(batch) { handles.append(try result.get()) }
            bar.advance(by: batch.count)
        }
        return handles
    }

    /// Waits for every result; in chaos, kills the server and a worker twice on the way.
    private func collect(_ jobs: [JobHandle], _ client: Client) async throws -> [FileSummary] {
        let bar = ProgressBar("computed", total: jobs.count)
        var kills = isChaos ? [jobs.count / 4, jobs.count * 3 / 5] : []
        var summaries: [FileSummary] = []
        try await withThrowingTaskGroup(of: FileSummary.self) { group in
            var rest = jobs[...]
            func add() {
                guard let job = rest.popFirst() else { return }
                group.addTask {
                    switch try await job.awaitResult(every: .milliseconds(100), timeout: .seconds(300)) {
                    case .succeeded(let payload): return try payload.decode(as: FileSummary.self)
                    case .failed(let code, _): throw RunFailure("job \(job.id) failed: \(code)")
                    case .cancelled: throw RunFailure("job \(job.id) was cancelled")
                    }
                }
            }
            for _ in 0..<64 { add() }
            while let summary = try await group.next() {
                summaries.append(summary)
                bar.advance()
                add()
                if let next = kills.first, summaries.count >= next {
                    kills.removeFirst()
                    try await kill(bar)
                }
            }
        }
        return summaries
    }

    private func kill(_ bar: ProgressBar) async throws {
        guard let server, let worker = workers.popLast() else { return }
        bar.say("SIGKILL: server \(server.id) and worker \(worker.id), at \(bar.done) files")
        server.kill()
        worker.kill()
        self.server = try ChildProcess(programs + "/silo", serverArguments, log: log)
        workers.append(try startWorker())
        try await waitForServer()
        bar.say("both started again")
    }

    /// Leaves nothing behind in a server that others use.
    private func clean(_ jobs: [JobHandle]) async throws {
        guard !isChaos else { return }
        let bar = ProgressBar("erased", total: jobs.count)
        try await withThrowingTaskGroup { group in
            var rest = jobs[...]
            for _ in 0..<64 { if let job = rest.popFirst() { group.addTask { try await job.delete() } } }
            while try await group.next() != nil {
                bar.advance()
                if let job = rest.popFirst() { group.addTask { try await job.delete() } }
            }
        }
    }
}

extension Client {
    /// A client that gives up at once.
    convenience init(probing address: String) {
        var options = ClientOptions(servers: [address])
        options.retriesMax = 0
        options.timeout = .seconds(2)
        self.init(options)
    }
}
