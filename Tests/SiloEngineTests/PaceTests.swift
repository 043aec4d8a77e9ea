import SiloCore
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct PaceTests {
    private func pace(_ times: Int64...) -> Pace {
        var pace = Pace()
        for time in times { pace.record(at: Timestamp(time)) }
        return pace
    }

    @Test("what happens again and again goes on so")
    func goesOn() {
        #expect(pace(0).estimate(1, at: Timestamp(0)) == nil)
        #expect(pace(0, 100).estimate(2, at: Timestamp(100)) == 200)
        #expect(pace(0, 100, 5200).estimate(1, at: Timestamp(5200)) == 600)
        #expect(pace(0, .max).estimate(.max, at: Timestamp(.max)) == 1_000_000_000_000_000)
    }

    @Test("what has not happened for much longer than it took before has no pace")
    func silence() {
        #expect(pace(0, 100).estimate(2, at: Timestamp(5100)) == 200)
        #expect(pace(0, 100).estimate(2, at: Timestamp(5101)) == nil)
        #expect(pace(0, 10_000).estimate(1, at: Timestamp(210_000)) == 10_000)
        #expect(pace(0, 10_000).estimate(1, at: Timestamp(210_001)) == nil)
    }
}
