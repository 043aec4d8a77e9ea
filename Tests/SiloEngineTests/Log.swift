import SiloCore
import SiloEngine
import TestSupport
import Testing

/// What commands were answered, line by line.
final class Log: Sendable {
    private let lines = Box<String>()
    var all: [String] { lines.all }

    func submit<C: Command>(_ name: String, _ command: C, to bench: Bench) {
        bench.shard.submit(command) { result in
            let line: String
            switch result {
            case .success: line = "\(name) ok"
            case .failure(.unavailable(let text, _)): line = "\(name) \(text)"
            case .failure(let error): line = "\(name) \(error)"
            }
            self.lines.add(line)
        }
    }

    func note(_ line: String) { lines.add(line) }

    func until(_ what: String, _ condition: ([String]) -> Bool) async throws {
        try await lines.changes.wait(for: "\(what), not \(all)") { condition(all) }
    }

    func expect(_ expected: [String], _ location: SourceLocation = #_sourceLocation) async throws {
        try await until("\(expected)") { $0.count >= expected.count }
        #expect(all.sorted() == expected.sorted(), sourceLocation: location)
    }
}
