import SiloCore

/// What happened in equal spans of time, back to so many of them: a ring that a chart is drawn from.
struct Timeline: Sendable {
    /// One span.
    struct Slot: Sendable {
        var enqueued: UInt64 = 0
        var started: UInt64 = 0
        var succeeded: UInt64 = 0
        var failed: UInt64 = 0
        /// How long it was looked at, in milliseconds; the last one is still going on.
        var milliseconds: Int64 = 0
        /// Levels as they were last.
        var backlog: Int64 = 0
        var running: Int64 = 0
        var oldestReadyMilliseconds: Int64 = 0
        var readyToStart = Latencies()
        var runTime = Latencies()

        func perSecond(_ count: UInt64) -> Double? {
            milliseconds > 0 ? Double(count) * 1000 / Double(milliseconds) : nil
        }
    }
    let slotMilliseconds: Int64
    let slotsMax: Int
    /// In order of time, without gaps; nil: nobody looked.
    private(set) var slots: [Slot?] = []
    private var lastIndex: Int64

    init(slotMilliseconds: Int64, slots: Int, at steady: Timestamp) {
        self.slotMilliseconds = slotMilliseconds
        slotsMax = slots
        lastIndex = steady.milliseconds / slotMilliseconds
        self.slots = Array(repeating: nil, count: slots)
    }

    /// Adds what happened until a time, of a clock that never goes back.
    mutating func add(_ slot: Slot, at steady: Timestamp) {
        let index = steady.milliseconds / slotMilliseconds
        let passed = Int(clamping: min(Int64(slotsMax), max(0, index - lastIndex)))
        if passed > 0 {
            slots.removeFirst(passed)
            slots += Array(repeating: nil, count: passed)
            lastIndex = index
        }
        slots[slotsMax - 1] = slots[slotsMax - 1].map { $0.adding(slot) } ?? slot
    }
}

extension Timeline.Slot {
    func adding(_ other: Self) -> Self {
        var sum = other
        sum.enqueued += enqueued
        sum.started += started
        sum.succeeded += succeeded
        sum.failed += failed
        sum.milliseconds += milliseconds
        sum.readyToStart.add(readyToStart)
        sum.runTime.add(runTime)
        return sum
    }
}
