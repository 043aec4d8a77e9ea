import SiloCore
import SiloStore

/// What the commands of one batch read and write: the store, below an overlay of what the batch has changed so far.
///
/// A command that throws leaves no trace: its writes are rolled back and its changes of memory were only noted.
public final class Transaction {
    let memory: ShardMemory
    let random: any RandomSource

    /// The time of the command that runs.
    private(set) var moment: Moment
    /// The wall clock: dates, and what is shown.
    var now: Timestamp { moment.wall }
    /// The shard's steady time: what lengths are measured with.
    var steady: Timestamp { moment.steady }
    private let clock: any Clock
    private let rows: Overlay

    /// Lines that were looked at for grants in this batch.
    var grantsOfBatch = 0
    /// Changes of memory that the command makes if it succeeds.
    private var effects: [(ShardMemory) -> Void] = []
    /// How to undo the changes of memory that the command has made.
    private var memoryUndo: [(ShardMemory) -> Void] = []

    init(store: any StoreReader, memory: ShardMemory, clock: any Clock, random: any RandomSource) {
        rows = Overlay(over: store)
        self.memory = memory
        self.clock = clock
        moment = clock.moment
        self.random = random
    }

    var settings: EngineSettings { memory.settings }

    // MARK: Commands

    /// A command begins now.
    func begin() {
        moment = clock.moment
    }

    /// The command succeeded.
    func keep() {
        rows.keep()
        memoryUndo.removeAll(keepingCapacity: true)
        let effects = effects
        self.effects.removeAll(keepingCapacity: true)
        for effect in effects { effect(memory) }
    }

    /// The command failed: everything is as before it.
    func rollBack() {
        if rows.rollBack() { Probe.rolledBack.reached() }
        effects.removeAll(keepingCapacity: true)
        while let step = memoryUndo.popLast() { step(memory) }
    }

    /// Everything the batch writes, with the directory rows of the queues it touched. Each key occurs once.
    func takeBatch() -> [Write] {
        grantsOfBatch = 0
        var batch = rows.takeBatch()
        memory.takeDirtyRows(into: &batch, at: moment)
        return batch
    }

    // MARK: Rows

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? { try await rows.get(key) }

    func scan(
        from start: Bytes, to end: Bytes, limit: Int, merging: Bool
    ) async throws(StoreError) -> (rows: [Row], next: Bytes?) {
        try await rows.scan(from: start, to: end, limit: limit, merging: merging)
    }

    func scanAll(from start: Bytes, to end: Bytes) async throws(StoreError) -> [Row] {
        try await rows.scanAll(from: start, to: end)
    }

    func put(_ key: Bytes, _ value: Bytes, expiresAt: Timestamp? = nil) { rows.put(key, value, expiresAt: expiresAt) }
    func delete(_ key: Bytes) { rows.delete(key) }

    /// Changes memory when the command has succeeded.
    func afterwards(_ effect: @escaping (ShardMemory) -> Void) {
        effects.append(effect)
    }

    /// Undoes a change of memory that the command has made at once, should it fail.
    func onRollBack(_ step: @escaping (ShardMemory) -> Void) {
        memoryUndo.append(step)
    }

    // MARK: Queues

    /// The queue of a tenant's task group, read from the directory when memory does not hold it.
    func queue(_ tenant: Tenant, _ group: TaskGroup) async throws(StoreError) -> Queue {
        let id = Queue.ID(tenant: tenant, group: group)
        if let queue = memory.queues[id] { return queue }
        let row = try await rows.get(ShardKeys.queue(tenant, group))
        let counts = try row.map { bytes throws(StoreError) in try StorageV1.QueueCounts(stored: bytes) } ?? StorageV1.QueueCounts()
        let queue = Queue(id, counts: counts)
        memory.add(queue)
        return queue
    }
}
