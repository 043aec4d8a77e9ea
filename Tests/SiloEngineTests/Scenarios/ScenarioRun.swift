import Testing

@testable import SiloEngine

/// One run of a scenario's commands, on a shard opened in one of its ways.
struct ScenarioRun {
    /// The line that says how the shard is opened.
    let opening: Substring
    private let settings: EngineSettings
    private let steps: [(line: Int, step: ScenarioStep)]
    private let end: Int

    /// Reads every command, before any runs.
    init(_ scenario: Scenario, opening: Scenario.Block) throws(ScenarioError) {
        self.opening = opening.input[0]
        settings = try ScenarioCommands.opening(opening)
        var steps: [(line: Int, step: ScenarioStep)] = []
        for block in scenario.blocks { steps.append((block.line, try ScenarioCommands.step(block))) }
        self.steps = steps
        end = scenario.end
    }

    /// What the commands print, up to one that fails. What an audit finds, or a command that makes no sense, is an issue of the
    /// test.
    func outputs(_ file: String) async -> [[String]] {
        var outputs: [[String]] = []
        var line = 1
        do {
            let world = try await ScenarioWorld(settings)
            for (at, step) in steps {
                line = at
                outputs.append(try await world.output(of: step))
            }
            line = end
            try await world.finish(ScenarioTests.location(file, line))
        } catch {
            Issue.record("\(file):\(line), after `\(opening)`: \(error)", sourceLocation: ScenarioTests.location(file, line))
        }
        return outputs
    }
}
