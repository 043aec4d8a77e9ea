import CommandLineTool
import Foundation
import Synchronization

/// A server that the suite started.
final class ServerProcess: Sendable {
    let address: String
    let processID: Int32
    private let process: Process
    private let log: String
    /// When the program was started.
    let begun: Instant

    /// Starts a server on a free port and returns when it answers calls.
    /// - Parameter data: its folder; kept when it stops.
    static func start(_ program: String, data: String, options: [String] = []) async throws -> ServerProcess {
        let log = data + ".log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        guard let output = FileHandle(forWritingAtPath: log) else { throw Failure("cannot write to \(log)") }
        try output.seekToEnd()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = [
            "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--data", data, "--log-format", "json",
        ] + options
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = output
        let begun = Instant.now
        do { try process.run() } catch {
            throw Failure("--server: cannot run \(program): \(SystemReason(error)?.description ?? "\(error)")")
        }
        Running.add(process.processIdentifier)
        do {
            let address = try await listeningAddress(process, log)
            return ServerProcess(address: address, process: process, log: log, begun: begun)
        } catch {
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            Running.remove(process.processIdentifier)
            throw error
        }
    }

    private init(address: String, process: Process, log: String, begun: Instant) {
        self.address = address
        self.process = process
        self.log = log
        self.begun = begun
        processID = process.processIdentifier
    }

    private struct Line: Decodable {
        struct Fields: Decodable {
            var message: String
            var grpc: String?
        }
        var fields: Fields
    }

    /// Waits for the line that says where the server listens.
    private static func listeningAddress(_ process: Process, _ log: String) async throws -> String {
        let begun = Instant.now
        while Instant.now.seconds(since: begun) < 300 {
            for line in read(log).split(separator: "\n") where line.contains("server started") {
                let decoded = try? JSONDecoder().decode(Line.self, from: Data(line.utf8))
                if let address = decoded?.fields.grpc { return address }
            }
            guard process.isRunning else { throw Failure("the server ended while it started:\n\(read(log))") }
            try await Task.sleep(for: .milliseconds(1))
        }
        throw Failure("the server did not start in 300 s:\n\(read(log))")
    }

    private static func read(_ path: String) -> String {
        String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
    }

    /// Stops it as an operator does, with SIGTERM, and returns when it has ended.
    func stop() async throws {
        kill(processID, SIGTERM)
        try await ended(within: 120)
        guard process.terminationStatus == 0 else {
            throw Failure("the server ended with code \(process.terminationStatus):\n\(Self.read(log))")
        }
    }

    /// Ends it on the spot, as a crash does.
    func crash() async throws {
        kill(processID, SIGKILL)
        try await ended(within: 30)
    }

    private func ended(within seconds: Double) async throws {
        let begun = Instant.now
        while process.isRunning {
            guard Instant.now.seconds(since: begun) < seconds else {
                kill(processID, SIGKILL)
                throw Failure("the server did not end in \(Int(seconds)) s and was killed; its log:\n\(Self.read(log))")
            }
            try await Task.sleep(for: .milliseconds(2))
        }
        Running.remove(processID)
    }

    /// Lines of the log at level WARN or ERROR.
    var complaints: [String] {
        Self.read(log).split(separator: "\n").map(String.init).filter {
            $0.contains("\"level\":\"WARN\"") || $0.contains("\"level\":\"ERROR\"")
        }
    }

    /// Memory in MiB by the kernel's count: now, and at its highest.
    var residentMiB: (now: Double, peak: Double) {
        let status = FileHandle(forReadingAtPath: "/proc/\(processID)/status").flatMap { try? $0.readToEnd() } ?? Data()
        func value(_ name: String) -> Double {
            let line = String(decoding: status, as: UTF8.self).split(separator: "\n").first { $0.hasPrefix(name + ":") }
            return line.flatMap { Double($0.filter(\.isNumber)) }.map { $0 / 1024 } ?? 0
        }
        return (value("VmRSS"), value("VmHWM"))
    }

    /// Processor time used so far, in seconds.
    var processorSeconds: Double { processorTime(of: "\(processID)") }
}

/// Processor time that this program has used, in seconds.
var ownProcessorSeconds: Double { processorTime(of: "self") }

private func processorTime(of process: String) -> Double {
    let stat = FileHandle(forReadingAtPath: "/proc/\(process)/stat").flatMap { try? $0.readToEnd() } ?? Data()
    // Fields after the name, which is in parentheses: 14 and 15 of proc(5) are the 12th and 13th.
    let fields = String(decoding: stat, as: UTF8.self).components(separatedBy: ") ").last?.split(separator: " ") ?? []
    guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
    return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
}

/// The servers that run now, to be ended when this program is.
enum Running {
    private static let processes = Mutex<Set<Int32>>([])

    static func add(_ id: Int32) { processes.withLock { _ = $0.insert(id) } }
    static func remove(_ id: Int32) { processes.withLock { _ = $0.remove(id) } }
    static func killAll() { for id in processes.withLock({ $0 }) { kill(id, SIGKILL) } }
}
