import Testing

@testable import SiloCore

@Suite(.timeLimit(.minutes(10))) struct SystemClockTests {
    private static let second: Int64 = 1_000_000_000

    @Test("a small correction is made up for by a tenth of the time, either way", arguments: [1, -1] as [Int64])
    func small(sign: Int64) {
        var slew = Slew(0, at: 0)
        for step in 1...20 as ClosedRange<Int64> {
            #expect(slew.follow(2 * Self.second * sign, at: step * Self.second) == step * Self.second / 10 * sign)
        }
        #expect(slew.follow(2 * Self.second * sign, at: 30 * Self.second) == 2 * Self.second * sign, "no further")
    }

    @Test(
        "a large one is followed at once, either way",
        arguments: [2_000_000_001, -2_000_000_001, 3_600_000_000_000, -3_600_000_000_000] as [Int64])
    func large(step: Int64) {
        var slew = Slew(0, at: 0)
        #expect(slew.follow(step, at: 1) == step)
        #expect(slew.follow(0, at: 2) == 0)
    }

    @Test("corrections that add up are followed as soon as they are large together")
    func together() {
        var slew = Slew(0, at: 0)
        #expect(slew.follow(1_500_000_000, at: 1) == 0)
        #expect(slew.follow(3_000_000_000, at: 2) == 3_000_000_000)
    }

    @Test("two threads that look in the wrong order do not gain time")
    func unordered() {
        var slew = Slew(0, at: 0)
        #expect(slew.follow(Self.second, at: 10 * 100) == 100)
        #expect(slew.follow(Self.second, at: 10 * 50) == 100)
        #expect(slew.follow(Self.second, at: 10 * 110) == 110)
    }

    @Test("the system's clocks go on, and the wall clock shows what the system says")
    func system() async throws {
        let clock = SystemClock()
        let before = clock.moment
        try await clock.sleep(milliseconds: 5)
        let after = clock.moment
        #expect(after.steady - before.steady >= 5)
        #expect(after.wall > before.wall)
        #expect(after.date(of: before.steady) - before.wall < 1000)
    }
}
