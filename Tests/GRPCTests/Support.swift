import Dispatch
import Foundation
import GRPC
import TestSupport

/// Starts a Python script of `peers/`.
func peer(_ script: String, _ arguments: [String]) throws -> ChildProcess {
    try ChildProcess(Repository.python, ["\(Repository.path)/Tests/GRPCTests/peers/\(script).py"] + arguments)
}

/// Runs a case of `peers/client.py`; the text is empty when all went well.
func python(_ name: String, _ port: Int, _ more: String...) async throws -> String {
    let ending = try await peer("client", [name, "\(port)"] + more).ending()
    return ending.status == 0 ? "" : ending.output
}

/// What handlers saw.
final class Seen: Sendable {
    let waiting = Tally()
    let cancelled = Tally()
    let sent = Tally()
    let ended = Tally()
    /// Lets the answers of `Late` go.
    let answers = Gate()
    /// Lets go the thread that is blocked.
    let release = DispatchSemaphore(value: 0)
    /// Requests whose answers reached nobody.
    let untaken = Box<[UInt8]>()
}

/// A server that says when its calls are over.
final class CountedServer: Sendable {
    let server: Server
    private let callsEnded = Signal()

    init(_ change: (inout ServerOptions) -> Void = { _ in }) {
        var options = ServerOptions(address: "127.0.0.1:0")
        change(&options)
        options.callEnded = callsEnded.raise
        server = Server(options)
    }

    /// Returns once no call is under way.
    func untilIdle() async throws {
        try await callsEnded.wait(for: "no calls, not \(server.runningCalls)") { server.runningCalls == 0 }
    }
}

/// A started server with the methods that `peers/client.py` calls.
struct TestServer: Sendable {
    private let counted: CountedServer
    let port: Int
    let seen = Seen()

    init(_ change: (inout ServerOptions) -> Void = { _ in }) throws {
        counted = CountedServer(change)
        Self.register(on: counted.server, seen)
        port = try counted.server.start()
    }

    var server: Server { counted.server }

    var target: String { "127.0.0.1:\(port)" }

    private static func register(on server: Server, _ seen: Seen) {
        server.register("/test.Test/Echo") { call in call.respond(call.withRequest { Array($0) }) }
        server.register("/test.Test/Block") { call in
            seen.waiting.add()
            seen.release.wait()
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
            seen.waiting.add()
            let request = call.withRequest { Array($0) }
            call.respond([1, 2, 3], onUndelivered: { seen.untaken.add(request) })
        }
        server.register("/test.Test/HowManyWait") { call in call.respond(Array("\(seen.waiting.value)".utf8)) }
        server.register("/test.Test/Wait") { call in
            seen.waiting.add()
            call.onCancel {
                seen.cancelled.add()
                call.respond([1])
            }
        }
        // Answers from another task when the test says so, whatever becomes of the call meanwhile.
        server.register("/test.Test/Late") { call in
            seen.waiting.add()
            call.onCancel { seen.cancelled.add() }
            // The test opens the gate and sees the answer.
            Task {
                await seen.answers.wait()
                call.respond([2])
            }
        }
        server.register("/test.Test/Count") { call in
            let count = call.withRequest { Int(String(decoding: $0, as: UTF8.self)) } ?? 0
            // Ends with its count, or when nobody reads.
            Task {
                for number in 0..<max(0, count) { try await call.send(Array("\(number)".utf8)) }
                count < 0 ? call.fail(Status(.outOfRange, "no")) : call.finish(trailers: ["x-end": "yes"])
            }
        }
        server.register("/test.Test/Endless") { call in
            // Ends when nobody reads.
            Task {
                let chunk = [UInt8](repeating: 1, count: 65536)
                while (try? await call.send(chunk)) != nil { seen.sent.add() }
                seen.ended.add()
            }
        }
        server.registerStream("/test.Test/Chat") { stream in
            // Ends with the stream.
            Task {
                while let message = await stream.receive() { try await stream.send(Array("re: ".utf8) + message) }
                stream.finish()
            }
        }
    }

    /// Returns once no call is under way.
    func untilIdle() async throws { try await counted.untilIdle() }

    func shutdown() async { await server.shutdown(grace: .seconds(2)) }
}

/// A folder with certificates: `ca` signs `server` (for localhost) and `client`; `stranger` signed itself.
final class Certificates: Sendable {
    private let files: TemporaryFolder
    var folder: String { files.path }

    init() async throws {
        files = try TemporaryFolder()
        let script = """
            set -e; cd '\(files.path)'
            own() { openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout $1.key -out $1.pem -subj /CN=$1; }
            signed() {
                openssl req -newkey rsa:2048 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
                printf 'subjectAltName=DNS:localhost,IP:127.0.0.1' > $1.ext
                openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem
            }
            (own ca; own stranger; signed server; signed client) 2> log
            """
        let made = try await ChildProcess.run("/bin/bash", ["-c", script])
        guard made.status == 0 else { throw ChildProcess.StartError(description: made.output) }
    }

    func read(_ name: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
    }
}
