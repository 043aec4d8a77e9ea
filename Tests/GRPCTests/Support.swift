import Foundation
import GRPC
import Synchronization

/// A Python script of `peers/` as a child process.
final class Peer: Sendable {
    private let process: Process
    private let output = Pipe()
    private let input = Pipe()

    init(_ script: String, _ arguments: [String]) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let root = folder.deletingLastPathComponent().deletingLastPathComponent()
        process = Process()
        process.executableURL = root.appendingPathComponent(".deps/python/bin/python")
        process.arguments = [folder.appendingPathComponent("peers/\(script).py").path] + arguments
        process.standardOutput = output
        process.standardError = output
        process.standardInput = input
        try process.run()
    }

    /// Waits for the first line of output.
    func firstLine() async -> String {
        await onThread {
            var line: [UInt8] = []
            let file = self.output.fileHandleForReading
            while let byte = try? file.read(upToCount: 1)?.first, byte != 10 { line.append(byte) }
            return String(decoding: line, as: UTF8.self)
        }
    }

    /// Waits for the end.
    func result() async -> (status: Int32, output: String) {
        await onThread {
            let text = (try? self.output.fileHandleForReading.readToEnd()).flatMap { $0 } ?? Data()
            self.process.waitUntilExit()
            return (self.process.terminationStatus, String(decoding: text, as: UTF8.self))
        }
    }

    func kill() { Glibc.kill(process.processIdentifier, SIGKILL) }

    /// Ends a server, which waits for the end of its input.
    func close() { try? input.fileHandleForWriting.close() }
}

/// Runs what blocks outside of Swift's shared pool.
func onThread<R: Sendable>(_ body: @escaping @Sendable () -> R) async -> R {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: body()) }
    }
}

/// Runs a case of `peers/client.py`; the text is empty when all went well.
func python(_ name: String, _ port: Int, _ more: String...) async throws -> String {
    let (status, output) = await (try Peer("client", [name, "\(port)"] + more)).result()
    return status == 0 ? "" : output
}

/// What handlers saw.
final class Seen: Sendable {
    let waiting = Atomic<Int>(0)
    let cancelled = Atomic<Int>(0)
    let sent = Atomic<Int>(0)
    let ended = Atomic<Int>(0)
    /// Lets go those who are blocked.
    let isReleased = Atomic(false)
    /// Requests whose answers reached nobody.
    let untaken = Mutex<[[UInt8]]>([])
}

/// Waits until `condition` holds, at most `seconds`.
func eventually(_ seconds: Double = 120, _ condition: @escaping @Sendable () -> Bool) async -> Bool {
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return condition()
}

/// A started server with the methods that `peers/client.py` calls.
struct TestServer: Sendable {
    let server: Server
    let port: Int
    let seen = Seen()

    init(_ change: (inout ServerOptions) -> Void = { _ in }) throws {
        var options = ServerOptions(address: "127.0.0.1:0")
        change(&options)
        server = Server(options)
        Self.register(on: server, seen)
        port = try server.start()
    }

    var target: String { "127.0.0.1:\(port)" }

    private static func register(on server: Server, _ seen: Seen) {
        server.register("/test.Test/Echo") { call in call.respond(call.withRequest { Array($0) }) }
        server.register("/test.Test/Block") { call in
            seen.waiting.add(1, ordering: .relaxed)
            while !seen.isReleased.load(ordering: .acquiring) { usleep(1000) }
            call.respond([3])
        }
        server.register("/test.Test/Metadata") { call in
            let texts = call.metadata.all("x-text").map { String(decoding: $0, as: UTF8.self) }
            let bytes = (call.metadata.bytes("x-data-bin") ?? []).map { String(format: "%02x", $0) }.joined()
            var trailers: Metadata = ["X-Back": "1", "x-back": "2"]
            trailers.append("x-back-bin", [0xfe, 0])
            call.respond(Array((texts + [bytes]).joined(separator: "|").utf8), trailers: trailers)
        }
        server.register("/test.Test/Fail") { call in
            let text = "naïve – 100% “größe” 🙂\nzweite Zeile"
            call.fail(Status(.failedPrecondition, text, trailers: ["x-hint": "here"]))
            call.respond([1])
        }
        server.register("/test.Test/Forget") { _ in }
        server.register("/test.Test/TooLarge") { call in call.respond([UInt8](repeating: 0, count: 129 << 20)) }
        server.register("/test.Test/Deadline") { call in
            let left = call.deadline.map { "\(ContinuousClock.now.duration(to: $0).components.seconds)" }
            call.respond(Array((left ?? "none").utf8))
        }
        server.register("/test.Test/Told") { call in
            seen.waiting.add(1, ordering: .relaxed)
            let request = call.withRequest { Array($0) }
            call.respond([1, 2, 3], onUndelivered: { seen.untaken.withLock { $0.append(request) } })
        }
        server.register("/test.Test/Wait") { call in
            seen.waiting.add(1, ordering: .relaxed)
            call.onCancel {
                seen.cancelled.add(1, ordering: .relaxed)
                call.respond([1])
            }
        }
        server.register("/test.Test/Sleep") { call in
            let milliseconds = call.withRequest { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
            seen.waiting.add(1, ordering: .relaxed)
            Task {
                try? await Task.sleep(for: .milliseconds(milliseconds))
                call.respond([2])
            }
        }
        server.register("/test.Test/Count") { call in
            let count = call.withRequest { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
            Task {
                for number in 0..<max(0, count) { try await call.send(Array("\(number)".utf8)) }
                count < 0 ? call.fail(Status(.outOfRange, "no")) : call.finish(trailers: ["x-end": "yes"])
            }
        }
        server.register("/test.Test/Endless") { call in
            Task {
                let chunk = [UInt8](repeating: 1, count: 65536)
                while (try? await call.send(chunk)) != nil { seen.sent.add(1, ordering: .relaxed) }
                seen.ended.add(1, ordering: .relaxed)
            }
        }
        server.registerStream("/test.Test/Chat") { stream in
            Task {
                while let message = await stream.receive() { try await stream.send(Array("re: ".utf8) + message) }
                stream.finish()
            }
        }
    }

    func shutdown() async { await server.shutdown(grace: .seconds(2)) }
}

/// A folder with certificates: `ca` signs `server` (for localhost) and `client`; `stranger` signed itself.
final class Certificates: Sendable {
    let folder: String

    init() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("grpc-\(UUID().uuidString)").path
        self.folder = folder
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let script = """
            set -e; cd '\(folder)'
            own() { openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout $1.key -out $1.pem -subj /CN=$1; }
            signed() {
                openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
                printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > $1.ext
                openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem
            }
            (own ca; own stranger; signed server; signed client) 2> log
            """
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/bash")
        process.arguments = ["-c", script]
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        await onThread { process.waitUntilExit() }
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
    }
}
