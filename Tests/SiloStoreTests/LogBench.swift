import SiloCore
import SiloTesting
import SlateDB
import Synchronization
import TestSupport

@testable import SiloStore

/// A log on a disk in memory, over a store in memory that fails when it is told to; time passes when the test lets it.
final class LogBench: Sendable {
    let changes = Signal()
    let clock: ManualClock
    let disk = SimulatedLogDisk(SeededRandom(seed: 1))
    let events: Box<String>
    /// Every write that reached the store below: its key, and whether it is a deletion.
    let moved: Box<Write>
    private let memory: Mutex<MemoryStore>
    private let current: Mutex<FaultyStore>
    private let openings = Mutex(0)
    private let away = Mutex(false)

    init() {
        clock = ManualClock(changes: changes)
        events = Box(changes: changes)
        moved = Box(changes: changes)
        let store = MemoryStore(clock: clock)
        memory = Mutex(store)
        current = Mutex(FaultyStore(store, changes: changes))
        record(below)
    }

    /// The store below, as it was opened last.
    var below: FaultyStore { current.withLock { $0 } }
    var openingCount: Int { openings.withLock { $0 } }

    /// What the store below stores to, as the test wants it.
    var isAway: Bool { away.withLock { $0 } }
    func setAway(_ isAway: Bool) { away.withLock { $0 = isAway } }

    private func record(_ store: FaultyStore) {
        store.set { [moved] faults in
            faults.mangle = { write in
                moved.add(write)
                return write
            }
        }
    }

    /// A next process has the store below: what was not flushed is gone.
    func reopenBelow() -> FaultyStore {
        let store = memory.withLock { memory in
            memory = memory.crash()
            return FaultyStore(memory, changes: changes)
        }
        record(store)
        current.withLock { $0 = store }
        openings.withLock { $0 += 1 }
        return store
    }

    func open(
        _ budget: LogBudget = LogBudget(), _ change: (inout LogPlace) -> Void = { _ in }
    ) async throws -> LoggedStore {
        let environment = Environment(clock: clock, random: SeededRandom(seed: 2))
        var place = LogPlace("shard", try disk.mount(), try LogThread(), in: environment)
        place.settings.segmentBytes = 16 * LogFormat.blockBytes
        place.settings.checkpointRestMilliseconds = 0
        place.onEvent = { [events] event in events.add("\(event)") }
        change(&place)
        return try await LoggedStore.open(below, place, budget)
    }

    /// The process dies; the machine does not.
    func crash() {
        disk.crash(losesPower: false)
        _ = reopenBelow()
    }

    func count(_ event: String) -> Int { events.all.count { $0.hasPrefix(event) } }
    func happened(_ event: String) -> Bool { count(event) > 0 }

    /// Lets a second pass whenever somebody sleeps, until it is so.
    func pass(until what: String, _ isSo: @escaping @Sendable () -> Bool) async throws {
        try await changes.wait(for: what) {
            if isSo() { return true }
            if !clock.sleepers.isEmpty { clock.advance(milliseconds: 1000) }
            return isSo()
        }
    }

    /// What comes of a call that only time may end.
    func outcome(
        _ call: @escaping @Sendable () async throws(StoreError) -> Void
    ) async throws -> Result<Void, StoreError> {
        let answers = Box<Result<Void, StoreError>>(changes: changes)
        // Ends with the test.
        Task {
            do throws(StoreError) {
                try await call()
                answers.add(.success(()))
            } catch {
                answers.add(.failure(error))
            }
        }
        try await pass(until: "an answer") { answers.count > 0 }
        return answers.all[0]
    }
}

extension Result where Success == Void, Failure == StoreError {
    var error: StoreError? { if case .failure(let error) = self { error } else { nil } }
}

func row(_ key: UInt8, _ count: Int = 1, isNew: Bool = false) -> Write {
    Write(key: [1, key], value: Bytes(repeating: key, count: count), isNew: isNew)
}
