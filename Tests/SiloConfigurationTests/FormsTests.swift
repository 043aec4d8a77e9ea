import Testing

@testable import SiloConfiguration

/// What options and the environment give is looked at before it is printed.
@Suite(.timeLimit(.minutes(10))) struct FormsTests {
    private static func mistakes(_ environment: [String: String], listen: String? = nil) -> [String] {
        var configuration = Configuration()
        configuration.take(environment)
        if let listen { configuration.set(Settings.server.address.entry, .text(listen), from: .commandLine) }
        return configuration.formMistakes()
    }

    @Test func whatIsOfNoFormIsToldAllAtOnce() {
        let told = Self.mistakes(["SILO_LOG": "nonsense"], listen: "foo")
        #expect(told.count == 2)
        #expect(told.contains { $0.hasPrefix("--listen must be host:port, such as") && $0.hasSuffix("not \"foo\"") }, "\(told)")
        #expect(told.contains { $0.hasPrefix("SILO_LOG must be levels such as") && $0.hasSuffix("not \"nonsense\"") }, "\(told)")
    }

    @Test func whatIsRightIsTakenAndASecretIsNotShown() {
        #expect(Self.mistakes(["SILO_LOG": "warn,shard=debug", "SILO_AUTH_TOKEN": "x"], listen: "127.0.0.1:0") == [])
        #expect(Self.mistakes([:]) == [])
        #expect(Self.mistakes(["SILO_AUTH_TOKEN": ""]) == ["SILO_AUTH_TOKEN must be a text in quotes that is not empty"])
    }
}
