import Testing

/// What the other suites lean on.
@Suite(.timeLimit(.minutes(10))) struct ScannerTests {
    @Test(arguments: [
        ("a // b", "a     "), ("a /* b /* c */ d */ e", "a                   e"), (#"f("x! // y") + z"#, #"f("        ") + z"#),
        (#"f("a\"b") + c"#, #"f("    ") + c"#), (##"f(#"a"b"#)"##, ##"f( "    "#)"##.replacing("#)", with: ")")),
        (#"f("a\(b!)c")"#, #"f("  (b!) ")"#),
    ])
    func commentsAndLiteralsAreBlank(text: String, code: String) {
        var scanner = Scanner(text)
        #expect(scanner.blanked().filter { $0 != " " } == code.filter { $0 != " " })
    }

    @Test func linesStayWhereTheyAre() {
        var scanner = Scanner("a\n\"\"\"\n  b // \"\n  \"\"\"\nc /* \n */ d")
        #expect(
            scanner.blanked().split(separator: "\n", omittingEmptySubsequences: false).map { $0.filter { $0 != " " } } == [
                "a", "\"", "", "\"", "c", "d",
            ])
    }
}
