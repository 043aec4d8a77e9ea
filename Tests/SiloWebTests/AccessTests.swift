import SiloAccess
import SiloCore
import SiloTesting
import Testing

@testable import SiloWeb

@Suite(.timeLimit(.minutes(10))) struct FormTests {
    private func decoded(_ text: String) -> Form? {
        Form(Array(text.utf8), type: "application/x-www-form-urlencoded; charset=utf-8")
    }

    @Test func `fields are decoded, in order`() throws {
        let form = try #require(decoded("a=1&b=x+y%26z&a=2&c&d=%zz%4"))
        #expect(form.all("a") == ["1", "2"] && form["b"] == "x y&z" && form["c"] == nil && form["d"] == "%zz%4")
    }

    @Test func `what is no form, or has too many fields, is none`() {
        #expect(Form([], type: "application/json") == nil)
        #expect(Form([], type: nil) == nil)
        #expect(decoded(String(repeating: "a=1&", count: 2049)) == nil)
        #expect(decoded("")?.fields.isEmpty == true)
    }
}

@Suite(.timeLimit(.minutes(10))) struct SessionTests {
    private let clock = ManualClock()

    private func sessions() -> Sessions { Sessions(milliseconds: 60_000, random: SeededRandom(seed: 1), clock: clock) }

    @Test func `a session lasts for its time`() {
        let sessions = sessions()
        let session = sessions.begin(TokenHash(of: "x".utf8))
        #expect(session.id.count == 64 && sessions.find(session.id) === session && sessions.find("x") == nil)
        clock.advance(milliseconds: 59_999)
        #expect(sessions.find(session.id) === session)
        clock.advance(milliseconds: 1)
        #expect(sessions.find(session.id) == nil)
    }

    @Test func `of too many sessions those go first of whom nobody signed in`() {
        let sessions = sessions()
        let signedIn = sessions.begin(TokenHash(of: "x".utf8))
        let first = sessions.begin(nil)
        clock.advance(milliseconds: 1)
        for _ in 0..<Sessions.countMax { _ = sessions.begin(nil) }
        #expect(sessions.find(signedIn.id) === signedIn && sessions.find(first.id) == nil)
    }

    @Test func `a form's token is taken once, and old ones are forgotten`() {
        let session = sessions().begin(nil)
        session.give("a")
        #expect(session.take("a") == .taken)
        #expect(session.take("a") == .underWay)
        session.end("a", isDone: true)
        #expect(session.take("a") == .usedBefore)
        #expect(session.take("b") == .unknown)
        for index in 0..<Session.formsMax { session.give("\(index)") }
        #expect(session.take("a") == .unknown)
        #expect(session.take("0") == .taken)
    }

    @Test func `what failed may be tried again with the same form`() {
        let session = sessions().begin(nil)
        session.give("a")
        for _ in 0..<3 {
            #expect(session.take("a") == .taken)
            session.end("a", isDone: false)
        }
        session.end("b", isDone: true)
        #expect(session.take("b") == .unknown)
    }
}

@Suite(.timeLimit(.minutes(10))) struct ThrottleTests {
    @Test func `bad tries are counted by address, and forgiven one by one`() {
        let throttle = SignInThrottle()
        var now = Timestamp(0)
        for _ in 0..<10 {
            #expect(throttle.secondsToWait("a", at: now) == nil)
            throttle.failed("a", at: now)
        }
        #expect(throttle.secondsToWait("a", at: now) == 6)
        #expect(throttle.secondsToWait("b", at: now) == nil)
        now = now + 6000
        #expect(throttle.secondsToWait("a", at: now) == nil)
        throttle.failed("a", at: now)
        #expect(throttle.secondsToWait("a", at: now) == 6)
    }

    @Test func `a million addresses take no more memory than the bound, and are counted together past it`() {
        let throttle = SignInThrottle()
        for index in 0..<20_000 { throttle.failed("address \(index)", at: Timestamp(0)) }
        #expect(throttle.secondsToWait("address 19999", at: Timestamp(0)) != nil)
        #expect(throttle.secondsToWait("address 1", at: Timestamp(0)) == nil)
        #expect(throttle.secondsToWait("somebody new", at: Timestamp(1_000_000)) == nil)
    }
}

@Suite(.timeLimit(.minutes(10))) struct MessagePackTests {
    @Test func `values of every kind are read`() throws {
        let bytes: [UInt8] = [0x83, 0xa1, 0x61, 0x01, 0xa1, 0x62, 0xcd, 0x01, 0x00, 0xa1, 0x63, 0x93, 0xc0, 0xc3, 0xff]
        #expect(try MessagePack(bytes) == .map([
            (.text("a"), .int(1)), (.text("b"), .int(256)), (.text("c"), .array([.null, .bool(true), .int(-1)])),
        ]))
        #expect(try MessagePack([0xcf] + [UInt8](repeating: 0xff, count: 8)) == .uint(.max))
        #expect(try MessagePack([0xcb, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0]) == .double(1.5))
        #expect(try MessagePack([0xd6, 0xff, 1, 2, 3, 4]) == .other(type: -1, [1, 2, 3, 4]))
        #expect(try MessagePack([0xc4, 2, 8, 9]) == .bytes([8, 9]))
    }

    @Test(arguments: [
        [], [0xc1], [0xa5, 0x61], [0x91], [0xdd, 0xff, 0xff, 0xff, 0xff], [0xdf, 0xff, 0xff, 0xff, 0xff], [0x01, 0x02],
        [UInt8](repeating: 0x91, count: 1000) + [0xc0],
    ] as [[UInt8]])
    func `what is none, or nested too deep, is refused`(bytes: [UInt8]) {
        #expect(throws: MessagePack.Malformed.self) { try MessagePack(bytes) }
    }
}
