import SiloCore
import Testing

@testable import SiloWeb

@Suite(.timeLimit(.minutes(10))) struct LatencyTests {
    private let bounds: [Int64] = [10, 20, 40]

    @Test func `quantiles lie within the bounds of their count`() {
        let latencies = Latencies(from: [], to: [0, 10, 0, 0])
        #expect(latencies.quantile(0.5, bounds) == 15)
        #expect(latencies.quantile(1, bounds) == 20)
        #expect(Latencies().quantile(0.5, bounds) == nil)
        #expect(Latencies(from: [], to: [0, 0, 0, 3]).quantile(0.99, bounds) == 40)
    }

    @Test func `only what came between two looks counts`() {
        var latencies = Latencies(from: [5, 5, 0, 0], to: [5, 5, 4, 0])
        #expect(latencies.total == 4 && latencies.quantile(0.5, bounds) == 30)
        latencies.add(Latencies(from: [], to: [4]))
        #expect(latencies.total == 8 && latencies.quantile(0.5, bounds) == 10)
    }
}

@Suite(.timeLimit(.minutes(10))) struct TimelineTests {
    private func slot(_ enqueued: UInt64, _ milliseconds: Int64 = 1000) -> Timeline.Slot {
        var slot = Timeline.Slot()
        slot.enqueued = enqueued
        slot.milliseconds = milliseconds
        return slot
    }

    @Test func `what happens in one span is added, and spans move on`() {
        var timeline = Timeline(slotMilliseconds: 5000, slots: 3, at: Timestamp(0))
        timeline.add(slot(1), at: Timestamp(1000))
        timeline.add(slot(2), at: Timestamp(2000))
        #expect(timeline.slots.map { $0?.enqueued } == [nil, nil, 3])
        #expect(timeline.slots[2].flatMap { $0.perSecond($0.enqueued) } == 1.5)
        timeline.add(slot(4), at: Timestamp(5000))
        #expect(timeline.slots.map { $0?.enqueued } == [nil, 3, 4])
    }

    @Test func `a time in which nobody looked is a gap`() {
        var timeline = Timeline(slotMilliseconds: 1000, slots: 4, at: Timestamp(0))
        timeline.add(slot(1), at: Timestamp(1000))
        timeline.add(slot(2), at: Timestamp(3000))
        #expect(timeline.slots.map { $0?.enqueued } == [nil, 1, nil, 2])
        timeline.add(slot(3), at: Timestamp(3_000_000))
        #expect(timeline.slots.map { $0?.enqueued } == [nil, nil, nil, 3])
    }

    @Test func `rates are of what was counted between two looks`() {
        let history = History(at: Timestamp(0))
        var figures = Figures()
        for second in 1...10 {
            figures.enqueued += 20
            figures.jobs.ready = Int64(second)
            history.add(figures, at: Timestamp(Int64(second) * 1000))
        }
        let lately = Timeline.Slot(merging: history.snapshot.seconds.slots.suffix(History.rateSeconds))
        #expect(lately.flatMap { $0.perSecond($0.enqueued) } == 20)
        #expect(history.snapshot.minutes.slots.last??.backlog == 10)
        #expect(Timeline.Slot(merging: [nil, nil]) == nil)
    }

    @Test func `an axis has round ends and ticks`() {
        let axis = Axis([3, 17, 42], .linear)
        #expect(axis.high == 50 && axis.ticks == [25, 50] && axis.position(50) == 1 && axis.position(0) == 0)
        let times = Axis([3, 420], .logarithmic)
        #expect(times.high == 1000 && times.ticks == [10, 100, 1000] && times.position(1) == 0 && times.position(1000) == 1)
        #expect(Axis([], .linear).high == 1)
    }
}
