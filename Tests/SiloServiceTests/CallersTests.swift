import SiloCore
import Testing

@testable import SiloService

@Suite(.timeLimit(.minutes(10))) struct CallersTests {
    @Test func withoutATokenAnybodyMayCall() throws {
        let callers = Callers(token: nil)
        #expect(callers.caller == .anonymous)
        try callers.check(nil)
        try callers.check(Array("nonsense".utf8))
    }

    @Test(arguments: [
            (nil, "missing authorization header"), ("Bearer s3cret\u{7f}", "invalid authorization header"),
            ("Bearer wrong", "invalid auth token"),
        ("Bearer s3cre", "invalid auth token"), ("Bearer s3crett", "invalid auth token"), ("s3cret", "invalid auth token"),
        ("Bearer ", "invalid auth token"), ("Bearer s3cret", nil),
    ] as [(String?, String?)])
    func theTokenIsAskedFor(_ header: String?, _ refusal: String?) {
        let callers = Callers(token: "s3cret")
        #expect(callers.caller == .sharedToken)
        var said: SiloError?
        do throws(SiloError) { try callers.check(header.map { Array($0.utf8) }) } catch { said = error }
        #expect(said == refusal.map { .unauthenticated($0) })
    }
}
