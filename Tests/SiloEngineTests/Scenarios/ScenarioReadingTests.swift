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
            ("open\nlease", 1, "a scenario begins with a comment that says what it shows"),
            ("# why\nlease", 2, "`open` comes before the first command"),
            ("# why\nopen\n", 3, "there are no commands"),
            ("# why\nopen huge\nlease", 2, "open: unknown word huge"),
            ("# why\nopen leases=1s\nlease", 2, "open: unknown option leases"),
            ("# why\nopen\n\n# why\nlaese 5\n----\nok", 5, "unknown command laese"),
            ("# why\nopen\nlease 5 wroker=w", 3, "lease: unknown option wroker"),
            ("# why\nopen\nlease 5 6", 3, "lease: unknown word 6"),
            ("# why\nopen\nlease five", 3, "lease: five is no count"),
            ("# why\nopen\ncancel", 3, "cancel: a name is missing"),
            ("# why\nopen\npass 10", 3, "pass: 10 is no length of time"),
            ("# why\nopen\nenqueue a priority=x", 3, "enqueue: priority is no number: x"),
            ("# why\nopen\nenqueue a limits=x", 3, "enqueue: x is no limit"),
            ("# why\nopen\nenqueue a limits=x:1/5s", 3, "x:1/5s: slots have no time"),
            ("# why\nopen\nenqueue a limits=k@1", 3, "k@1: it has no window"),
            ("# why\nopen\nenqueue a limits=k@1/1s(hit=1)", 3, "k@1/1s(hit=1): unknown option hit"),
            ("# why\nopen\nenqueue a1..b3", 3, "enqueue: a1..b3 is no range of names"),
            ("# why\nopen\nenqueue a group=g group=h", 3, "enqueue: group is named twice"),
            ("# why\nopen\nenqueue a\nenqueue b", 3, "enqueue: it takes one line; is `----` missing?"),
            ("# why\nopen\nenqueue-all\na\nb limit=x:1", 5, "enqueue: unknown option limit"),
            ("# why\nopen\ntogether\nenqueue a\nlease", 5, "lease: it cannot run together with others"),
            ("# why\nopen\nreport a/1 done", 3, "report: it ends with success, failure or cancelled"),
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
