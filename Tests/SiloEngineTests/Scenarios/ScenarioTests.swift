import Foundation
import Testing

/// Behaviours of the engine as texts, in `Tests/EngineScenarios`: see `Scenario`. `SILO_REWRITE=1` writes what is printed into
/// them.
@Suite(.timeLimit(.minutes(10))) struct ScenarioTests {
    private static let folder = URL(filePath: #filePath).appending(path: "../../../EngineScenarios").standardized
    /// Everything in it, whatever its name: what is no scenario fails as one.
    private static let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path(percentEncoded: false))) ?? []
    private static let isRewriting = ProcessInfo.processInfo.environment["SILO_REWRITE"] == "1"

    @Test("the folder of scenarios is found, and holds nothing else") func isFound() {
        #expect(!Self.files.isEmpty)
        #expect(Self.files.filter { !$0.hasSuffix(".txt") } == [])
    }

    @Test("scenario", arguments: files.sorted())
    func scenario(file: String) async throws {
        let url = Self.folder.appending(path: file)
        let scenario: Scenario
        let runs: [ScenarioRun]
        do {
            scenario = try Scenario(String(contentsOf: url, encoding: .utf8))
            runs = try scenario.openings.map { try ScenarioRun(scenario, opening: $0) }
        } catch let error as ScenarioError {
            Issue.record("\(file):\(error.line): \(error.text)", sourceLocation: Self.location(file, error.line))
            return
        }
        var expected = scenario.blocks.map(\.output)
        for (index, run) in runs.enumerated() {
            let outputs = await run.outputs(file)
            if Self.isRewriting, index == 0 {
                try scenario.text(with: outputs).write(to: url, atomically: true, encoding: .utf8)
                expected = outputs
            }
            compare(outputs, expected, of: scenario, run, file)
        }
    }

    /// The first command that prints something else is told: what follows mostly follows from it.
    private func compare(
        _ outputs: [[String]], _ expected: [[String]?], of scenario: Scenario, _ run: ScenarioRun, _ file: String
    ) {
        for (block, (found, expected)) in zip(scenario.blocks, zip(outputs, expected)) where found != expected {
            let wanted = expected?.joined(separator: "\n") ?? "(no `----` yet: SILO_REWRITE=1 writes it)"
            let text = """
                \(file):\(block.line), after `\(run.opening)`: \(block.input.joined(separator: "\n"))
                ---- expected
                \(wanted)
                ---- found
                \(found.joined(separator: "\n"))
                """
            Issue.record("\(text)", sourceLocation: Self.location(file, block.line))
            return
        }
    }

    static func location(_ file: String, _ line: Int) -> SourceLocation {
        let path = folder.appending(path: file).path(percentEncoded: false)
        return SourceLocation(fileID: "EngineScenarios/\(file)", filePath: path, line: line, column: 1)
    }
}
