import SiloCore

/// An invariant that was found broken and mended in passing: a bug of this program, or storage that lost something.
public enum HealedFault: String, CaseIterable, Sendable {
    /// A count of a queue would have gone below zero.
    case queueCount
    /// A count of a line would have.
    case lineCount
    /// A queue counted ready jobs that are not stored.
    case readyMissing
    /// The same of jobs that wait for their time.
    case timerMissing
    /// The same of jobs that wait for a limit.
    case waitingMissing
    /// A slot was freed that nobody held.
    case ghostRelease
    /// A pending task named a job that is not stored or cannot be read.
    case jobMissing
}

/// What was mended since the shard was opened. Only the shard's loop touches it.
final class Healed {
    private(set) var counts: [HealedFault: Int] = [:]
    private var new: [(fault: HealedFault, count: Int)] = []

    func note(_ fault: HealedFault) {
        counts[fault, default: 0] += 1
        if let index = new.firstIndex(where: { $0.fault == fault }) {
            new[index].count += 1
        } else {
            new.append((fault, 1))
        }
    }

    /// Counts down, never below zero: a stored count that is wrong must not stop the process.
    func countDown(_ count: inout UInt64, by amount: UInt64 = 1, _ fault: HealedFault = .queueCount) {
        if amount > count { note(fault) }
        count -= min(count, amount)
    }

    /// Tells what was mended since the last call.
    func tell(_ events: any EngineEvents) {
        for (fault, count) in new { events.healed(fault, count: count, isFirst: counts[fault] == count) }
        new = []
    }
}
