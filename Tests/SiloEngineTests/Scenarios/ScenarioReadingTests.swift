import Testing

@testable import SiloEngine

/// How scenarios are read: what is wrong is an error with its line, before anything runs.
@Suite(.timeLimit(.minutes(10))) struct ScenarioReadingTests {
    private func mistake(_ text: String) -> ScenarioError? {
        do throws(ScenarioError) {
            let scenario = try Scenario(text)
            for opening in scenario.openings { _ = try ScenarioRun(scenario, opening: opening) }
            return nil
        } catch {
            return error
        }
    }

    @Test(
        "what is unknown or missing is an error with its line",
        arguments: [
            ("lease", 1, "a scenario begins with `open`"),
            ("open huge", 1, "open: unknown word huge"),
            ("open leases=1s", 1, "open: unknown option leases"),
            ("open\n\n# why\nlaese 5\n----\nok", 4, "unknown command laese"),
            ("open\nlease 5 wroker=w", 2, "lease: unknown option wroker"),
            ("open\nlease 5 6", 2, "lease: unknown word 6"),
            ("open\nlease five", 2, "lease: five is no count"),
            ("open\ncancel", 2, "cancel: a name is missing"),
            ("open\npass 10", 2, "pass: 10 is no length of time"),
            ("open\nenqueue a priority=x", 2, "enqueue: priority is no number: x"),
            ("open\nenqueue a limits=x", 2, "enqueue: x is no limit"),
            ("open\nenqueue a limits=x:1/5s", 2, "x:1/5s: slots have no time"),
            ("open\nenqueue a limits=k@1", 2, "k@1: it has no window"),
            ("open\nenqueue a limits=k@1/1s(hit=1)", 2, "k@1/1s(hit=1): unknown option hit"),
            ("open\nenqueue a1..b3", 2, "enqueue: a1..b3 is no range of names"),
            ("open\nenqueue a group=g group=h", 2, "enqueue: group is named twice"),
            ("open\nenqueue a\nenqueue b", 2, "enqueue: it takes one line; is `----` missing?"),
            ("open\nenqueue-all\na\nb limit=x:1", 4, "enqueue: unknown option limit"),
            ("open\ntogether\nenqueue a\nlease", 4, "lease: it cannot run together with others"),
            ("open\nreport a/1 done", 2, "report: it ends with success, failure or cancelled"),
        ])
    func mistakes(text: String, line: Int, says: String) { #expect(mistake(text) == ScenarioError(line: line, says)) }

    @Test("a scenario is rewritten in its outputs alone")
    func rewritten() throws {
        let scenario = try Scenario("# why\nopen\n\nlease\n----\nold\n\n# more\nenqueue-all\na\nb\n\nrows\n----\nkept\n")
        #expect(scenario.blocks.map(\.line) == [4, 9, 13])
        #expect(
            scenario.text(with: [["nothing"], ["a, b: ready"]])
                == "# why\nopen\n\nlease\n----\nnothing\n\n# more\nenqueue-all\na\nb\n----\na, b: ready\n\nrows\n----\nkept\n")
    }

    @Test(
        "lengths of time are written as they are read",
        arguments: [
            ("0s", 0), ("999ms", 999), ("1m1ms", 60_001), ("1000d", 86_400_000_000), ("1d2h3m4s5ms", 93_784_005),
        ] as [(String, Int64)])
    func times(text: String, milliseconds: Int64) {
        #expect(ScenarioTime(text)?.milliseconds == milliseconds)
        #expect("\(ScenarioTime(milliseconds: milliseconds))" == text)
    }
}
