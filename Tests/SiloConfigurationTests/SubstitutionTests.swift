import Testing

@testable import SiloConfiguration

/// References to the environment, as spec/operations.md 2.2 has them.
@Suite(.timeLimit(.minutes(10))) struct SubstitutionTests {
    private static let environment = ["A": "one", "EMPTY": "", "NESTED": "${A}", "QUOTE": "\"\n"]

    @Test(arguments: [
        ("${A}", "one"), ("x${A}y${A}", "xoneyone"), ("${B}", ""), ("${B:-text}", "text"), ("${EMPTY:-text}", ""), ("$A", "$A"),
        ("$5", "$5"), ("${A", "${A"), ("${NESTED}", "${A}"), ("${B:-a}b}", "ab}"), ("${B:-}", ""), ("${B:-${A}}", "${A}"),
        ("${QUOTE}", "\"\n"), ("", ""), ("${}", ""), ("é${A}é", "éoneé"),
    ])
    func aReferenceBecomesItsValue(text: String, result: String) {
        #expect(Substitution(text, in: Self.environment).text == result)
    }

    @Test func whatIsNotSetIsNamed() {
        #expect(Substitution("${A}${B}${C:-x}${D}", in: Self.environment).missing == ["B", "D"])
    }
}
