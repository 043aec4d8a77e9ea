import SiloCore
import SiloStore
import SlateDB
import Synchronization

/// A database of a `SimulatedDisk`, open in one process. It keeps SlateDB's contract: a write is visible to reads at once,
/// durable after a flush; a snapshot shows what was written so far; and no write is taken while the machine's clock is behind the
/// last.
final class SimulatedStore: KeyValueStore {
    private struct State {
        var written: SortedRows
        var undurable: [StampedBatch] = []
        /// The greatest stamp of a write.
        var lastWrite: Timestamp
        var isClosed = false
    }
    private let database: SimulatedDatabase
    private let disk: SimulatedDisk
    private let clock: any Clock
    private let writer: Int
    private let state: Mutex<State>

    init(_ database: SimulatedDatabase, on disk: SimulatedDisk, _ clock: any Clock) {
        self.database = database
        self.clock = clock
        self.disk = disk
        let (writer, rows, lastWrite) = database.takeOver()
        self.writer = writer
        state = Mutex(State(written: rows, lastWrite: lastWrite))
    }

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        try await read().get(key, at: clock.now)
    }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await read().scan(from: start, to: end, limit: limit, at: clock.now)
    }

    private func read() async throws(StoreError) -> SortedRows {
        let fails = await disk.call(\.readLatency, \.readErrors)
        let rows = state.withLock { $0.isClosed ? nil : $0.written }
        guard let rows else { throw Self.closed }
        guard !fails else { throw Self.fault }
        return rows
    }

    var isOpen: Bool { state.withLock { !$0.isClosed } }

    var clockLag: ClockLag? {
        guard !disk.takesOldStamps, lag.milliseconds > Self.lagTolerated else { return nil }
        return lag
    }

    private var lag: ClockLag {
        ClockLag(lastWrite: state.withLock { $0.lastWrite }.milliseconds, now: clock.now.milliseconds)
    }

    /// SlateDB sits so much out.
    private static let lagTolerated: Int64 = 1000

    func write(_ batch: [Write]) async throws(StoreError) {
        guard Set(batch.map(\.key)).count == batch.count else { throw .corrupt("a key occurs twice in one batch") }
        if let write = state.withLock({ $0.written }).wronglyNew(in: batch, at: clock.now) {
            throw .corrupt("row \(write.key) is there, and was said to be new")
        }
        if let lag = clockLag { throw .behind(lag) }
        if !disk.takesOldStamps, lag.milliseconds > 0 { await disk.clock.pause(microseconds: 2000 * lag.milliseconds) }
        let fails = await disk.call(\.writeLatency, \.writeErrors)
        try checkOpen()
        if !fails || disk.random.happens(0.5) {
            state.withLock { state in
                state.lastWrite = max(state.lastWrite, clock.now)
                state.written.apply(batch)
                state.undurable.append(StampedBatch(batch: batch, at: state.lastWrite))
            }
        }
        disk.trace.note("\(database.name) write \(batch.count) \(batch.fingerprint)\(fails ? " fails" : "")")
        guard !fails else { throw Self.fault }
    }

    func flush() async throws(StoreError) {
        // What is written from now on need not be covered.
        let count = state.withLock { $0.undurable.count }
        let fails = await disk.call(\.flushLatency, \.flushErrors)
        try checkOpen()
        if !fails || disk.random.happens(0.5) { try harden(count) }
        disk.trace.note("\(database.name) flush \(count)\(fails ? " fails" : "")")
        guard !fails else { throw Self.fault }
    }

    private func harden(_ count: Int) throws(StoreError) {
        let batches = state.withLock { state in
            // Another flush may have come before.
            let batches = Array(state.undurable.prefix(count))
            state.undurable.removeFirst(batches.count)
            return batches
        }
        guard database.apply(batches, by: writer) else { throw Self.fenced }
        disk.tell(database.name, batches)
    }

    func snapshot() async throws(StoreError) -> any StoreReader {
        try checkOpen()
        return SimulatedSnapshot(rows: state.withLock { $0.written }, disk: disk, clock: clock)
    }

    func close() async throws(StoreError) {
        guard !state.withLock({ $0.isClosed }) else { return }
        try await flush()
        state.withLock { $0.isClosed = true }
        disk.trace.note("\(database.name) closed")
    }

    func crash() {
        let undurable = state.withLock { state in
            defer { state.undurable = [] }
            let wasClosed = state.isClosed
            state.isClosed = true
            return wasClosed ? [] : state.undurable
        }
        var survivors = 0
        if !undurable.isEmpty, disk.random.happens(disk.faults.tornTails) {
            survivors = disk.random.below(undurable.count + 1)
            if database.apply(undurable.prefix(survivors), by: writer) { disk.tell(database.name, undurable.prefix(survivors)) }
        }
        disk.trace.note("\(database.name) crash, \(survivors) of \(undurable.count) survive")
    }

    private func checkOpen() throws(StoreError) {
        guard !state.withLock({ $0.isClosed }) else { throw Self.closed }
        guard database.isWritten(by: writer) else { throw Self.fenced }
    }

    private static let closed = StoreError.unavailable("the store is closed")
    private static let fault = StoreError.unavailable("injected fault")
    private static let fenced = StoreError.fenced("a newer writer is there")
}

private struct SimulatedSnapshot: StoreReader {
    let rows: SortedRows
    let disk: SimulatedDisk
    let clock: any Clock

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        try await wait()
        return rows.get(key, at: clock.now)
    }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await wait()
        return rows.scan(from: start, to: end, limit: limit, at: clock.now)
    }

    private func wait() async throws(StoreError) {
        if await disk.call(\.readLatency, \.readErrors) { throw .unavailable("injected fault") }
    }
}

extension [Write] {
    /// Of keys and values, in hexadecimal.
    fileprivate var fingerprint: String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for write in self {
            for byte in write.key { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
            for byte in write.value ?? [0xff] { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        }
        return String(hash, radix: 16)
    }
}
