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
    private let store: any StoreReader

    private var writes: [Write] = []
    /// Lines that were looked at for grants in this batch.
    var grantsOfBatch = 0
    /// Where in `writes` a key stands.
    private var index: [Bytes: Int] = [:]
    /// How to undo each change of `writes` since the command began: the place, and what stood there.
    private var undo: [(place: Int, before: Write?)] = []
    /// Changes of memory that the command makes if it succeeds.
    private var effects: [(ShardMemory) -> Void] = []
    /// How to undo the changes of memory that the command has made.
    private var memoryUndo: [(ShardMemory) -> Void] = []

    init(store: any StoreReader, memory: ShardMemory, clock: any Clock, random: any RandomSource) {
        self.store = store
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
        undo.removeAll(keepingCapacity: true)
        memoryUndo.removeAll(keepingCapacity: true)
        let effects = effects
        self.effects.removeAll(keepingCapacity: true)
        for effect in effects { effect(memory) }
    }

    /// The command failed: everything is as before it.
    func rollBack() {
        if !undo.isEmpty { Probe.rolledBack.reached() }
        while let (place, before) = undo.popLast() {
            if let before {
                writes[place] = before
            } else {
                let write = writes.removeLast()
                index[write.key] = nil
            }
        }
        effects.removeAll(keepingCapacity: true)
        while let step = memoryUndo.popLast() { step(memory) }
    }

    /// Everything the batch writes, with the directory rows of the queues it touched. Each key occurs once.
    func takeBatch() -> [Write] {
        grantsOfBatch = 0
        var batch = writes
        memory.takeDirtyRows(into: &batch, at: moment)
        writes.removeAll(keepingCapacity: true)
        index.removeAll(keepingCapacity: true)
        return batch
    }

    // MARK: Rows

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        if let place = index[key] { return writes[place].value }
        return try await store.get(key)
    }

    /// The first rows of a range, in key order, and the key to go on from; nil when there are no more.
    /// - Parameter merging: this batch's own changes count. Without it they must not touch the range.
    func scan(
        from start: Bytes, to end: Bytes, limit: Int, merging: Bool
    ) async throws(StoreError) -> (rows: [Row], next: Bytes?) {
        let stored = try await store.scan(from: start, to: end, limit: limit)
        var next: Bytes?
        if stored.count == limit, let last = stored.last { next = last.key + [0] }
        guard merging, !writes.isEmpty else { return (stored, next) }
        let pageEnd = next ?? end
        var rows = Dictionary(stored.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        for write in writes where !write.key.lexicographicallyPrecedes(start) && write.key.lexicographicallyPrecedes(pageEnd) {
            rows[write.key] = write.value
        }
        let merged = rows.map { Row(key: $0.key, value: $0.value) }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
        return (merged, next)
    }

    /// Every row of a small range, this batch's changes included, in key order.
    func scanAll(from start: Bytes, to end: Bytes) async throws(StoreError) -> [Row] {
        var rows: [Row] = []
        var start: Bytes? = start
        while let from = start {
            let page = try await scan(from: from, to: end, limit: 1024, merging: true)
            rows += page.rows
            start = page.next
        }
        return rows
    }

    func put(_ key: Bytes, _ value: Bytes, expiresAt: Timestamp? = nil) {
        add(Write(key: key, value: value, expiresAt: expiresAt))
    }

    func delete(_ key: Bytes) {
        add(Write(key: key, value: nil))
    }

    private func add(_ write: Write) {
        if let place = index[write.key] {
            undo.append((place, writes[place]))
            writes[place] = write
        } else {
            undo.append((writes.count, nil))
            index[write.key] = writes.count
            writes.append(write)
        }
    }

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
        let row = try await store.get(ShardKeys.queue(tenant, group))
        let counts =
            try row.map { bytes throws(StoreError) in try StorageV1.QueueCounts(stored: bytes) } ?? StorageV1.QueueCounts()
        let queue = Queue(id, counts: counts)
        memory.add(queue)
        return queue
    }
}
