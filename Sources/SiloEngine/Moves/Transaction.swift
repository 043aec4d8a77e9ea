import Protobuf
import SiloCore
import SiloStore

/// What the commands of one batch change: rows, and memory in step with them. Whatever is called here happens; nothing is refused
/// and nothing undone, so only those get hold of it who cannot be refused any more (see `Command`).
///
/// The moves themselves are its parts, one for each place in which a job may stand and each thing that is decided: see `Part`.
package final class Transaction {
    let memory: ShardMemory
    let rows: Overlay
    let random: any RandomSource

    /// The time of the command that runs.
    private(set) var moment: Moment
    private let clock: any Clock
    private let isOpen: () -> Bool
    /// Why reads that can wait do wait, and until when, in steady time; nil: they need not.
    private(set) var rest: (until: Timestamp, error: StoreError)?

    /// Lines that were looked at for grants in this batch.
    var grantsOfBatch = 0

    /// - Parameters:
    ///   - executor: where reads ahead run.
    ///   - isOpen: whether the store may answer later when it does not now.
    init(
        store: any StoreReader, memory: ShardMemory, clock: any Clock, random: any RandomSource,
        executor: (any TaskExecutor)? = nil, isOpen: @escaping () -> Bool = { true }
    ) {
        self.isOpen = isOpen
        rows = Overlay(over: store, executor: executor)
        self.memory = memory
        self.clock = clock
        moment = clock.moment
        self.random = random
    }

    var settings: EngineSettings { memory.settings }

    /// A command begins now.
    func begin() {
        moment = clock.moment
        if let rest, rest.until <= moment.steady { self.rest = nil }
    }

    // MARK: A store that does not answer

    /// Whether a read that failed may be repeated some time later, when it has had no consequence.
    func mayPass(_ error: StoreError) -> Bool {
        guard case .unavailable = error else { return false }
        return isOpen()
    }

    /// Makes reads that nothing was changed for. While the store does not answer they wait, and for a while so do all
    /// others of the kind, for each may take long to fail.
    /// - Returns: nil when they wait.
    func ifAnswered<Value>(_ reads: () async throws(StoreError) -> Value) async throws(StoreError) -> Value? {
        guard rest == nil else { return nil }
        let changes = rows.changes
        do throws(StoreError) { return try await reads() } catch {
            guard mayPass(error), rows.changes == changes else { throw error }
            rest = (clock.steady + Self.restMilliseconds, error)
            return nil
        }
    }

    private static let restMilliseconds: Int64 = 500

    /// Everything the batch writes, with the rows that memory is ahead of. Each key occurs once.
    func takeBatch() -> [Write] {
        grantsOfBatch = 0
        var batch = rows.takeBatch()
        memory.takeDirtyRows(into: &batch, at: moment)
        rows.note(written: batch)
        if memory.windows.budget.isOver { rows.forgetScans() }
        if rows.takeFoundAhead() { reached(.pageReadAhead) }
        return batch
    }

    // MARK: Records

    /// The queue of a tenant's task group, read from the directory when memory does not hold it.
    func queue(_ tenant: Tenant, _ group: TaskGroup) async throws(StoreError) -> Queue {
        let id = Queue.ID(tenant: tenant, group: group)
        if let queue = memory.queues[id] { return queue }
        let row = try await rows.get(ShardKeys.queue(tenant, group))
        let counts =
            try row.map { bytes throws(StoreError) in try StorageV1.QueueCounts(stored: bytes) } ?? StorageV1.QueueCounts()
        let queue = Queue(id, counts: counts)
        memory.add(queue)
        return queue
    }

    /// The job's rows and its queue; nil when there is no such job, or when its rows cannot be read.
    func find(_ tenant: Tenant, _ id: JobID) async throws(StoreError) -> (stored: StoredJob, job: JobReference)? {
        guard memory.drops[tenant] == nil else { return nil }
        let stored: StoredJob?
        do {
            stored = try await StoredJob.read(id, TenantKeys(tenant), get: rows.get)
        } catch .corrupt {
            return nil
        }
        guard let stored else { return nil }
        return (stored, JobReference(id: id, queue: try await queue(tenant, TaskGroup(stored.job.taskGroup))))
    }

    /// A record that can be made anew. One that cannot be read is set aside: it must not stop the shard.
    func record<Record: Message>(_ key: Bytes) async throws(StoreError) -> Record? {
        guard let bytes = try await rows.get(key) else { return nil }
        if let record = try? Record(serializedBytes: bytes) { return record }
        setAside(Row(key: key, value: bytes))
        return nil
    }

    /// Moves a row out of everybody's way.
    func setAside(_ row: Row) {
        rows.put(ShardKeys.setAside(row.key), row.value)
        rows.delete(row.key)
    }
}
