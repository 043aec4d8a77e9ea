import CommandLineTool
import SiloCore
import Testing

/// What programs say to a word that they do not know.
@Suite(.timeLimit(.minutes(10))) struct NearestTests {
    @Test(arguments: [
        ("stauts", "status_kind"), ("tls-certificate", "tls-cert"), ("jbo", "job"), ("joob", "job"), ("id", "id"), ("foo", nil),
        ("x", nil), ("", nil), ("enormous", nil),
    ])
    func theNearestNameDiffersLittleOrSharesAWord(wrong: String, meant: String?) {
        #expect(Nearest.name(to: wrong, among: ["job", "id", "status_changed_at_ms", "status_kind", "tls-cert"]) == meant)
    }

    @Test func namesOfCallersAreBounded() {
        let long = String(repeating: "a_", count: 1 << 19)
        #expect(Nearest.name(to: long, among: Array(repeating: long, count: 100_000)) == long)
        #expect(Nearest.name(to: long, among: ["id"]) == nil)
    }

    private static let usage = Usage(
        "tool", "Does things.",
        commands: [
            .init("job get", ["id"], help: "", options: [.init("attempts", help: "")]), .init("job cancel", ["id"], help: ""),
            .init("workers", help: ""),
        ], options: [.init("json", help: "")])

    @Test(arguments: [
        (["jb", "list"], "unknown command jb list; did you mean job?"),
        (["job", "gte", "x"], "unknown command job gte x; did you mean job get?"),
        (["job", "list"], "unknown command job list; there is job get, job cancel"),
        (["wrokers"], "unknown command wrokers; did you mean workers?"), (["nonsense"], "unknown command nonsense"),
        (["job", "get", "x", "--atempts"], "unknown option --atempts; did you mean --attempts?"),
        (["job", "cancel", "x", "--atempts"], "unknown option --atempts"),
        (["workers", "-json"], "unknown option -json; did you mean --json?"),
        (["--hlep"], "unknown option --hlep; did you mean --help?"),
    ])
    func aWordThatThereIsNotIsToldWithTheNearestKnownOne(words: [String], mistake: String) {
        #expect(throws: Arguments.Mistake.self) { try Arguments.read(words, Self.usage, version: "1") }
        do { _ = try Arguments.read(words, Self.usage, version: "1") } catch { #expect(error.description == mistake) }
    }
}
