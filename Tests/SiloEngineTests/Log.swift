import SiloCore
import SiloEngine
import Synchronization
import Testing

/// What commands were answered, line by line.
final class Log: Sendable {
    private let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }

    func submit<C: Command>(_ name: String, _ command: C, to bench: Bench) {
        bench.shard.submit(command) { result in
            let line: String
            switch result {
            case .success: line = "\(name) ok"
            case .failure(.unavailable(let text, _)): line = "\(name) \(text)"
            case .failure(let error): line = "\(name) \(error)"
            }
            self.lines.withLock { $0.append(line) }
        }
    }

    func note(_ line: String) { lines.withLock { $0.append(line) } }

    func expect(_ expected: [String], _ location: SourceLocation = #_sourceLocation) async throws {
        try await eventually("\(expected)", location) { all.count >= expected.count }
        #expect(all.sorted() == expected.sorted(), sourceLocation: location)
    }
}
