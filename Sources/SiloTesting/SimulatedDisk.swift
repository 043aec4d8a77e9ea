public import SiloCore
public import SiloStore
import Synchronization

/// Storage that outlives the processes that use it: databases by name, as in a bucket.
///
/// A process has a `SimulatedMount`, opens its databases through it and may crash; then exactly what was not durable is gone. A
/// database has one writer: opening it again fences the writer before.
public final class SimulatedDisk: Sendable {
    /// How long a kind of call takes.
    public struct Latency: Sendable {
        /// How many calls do not answer at once, from 0 to 1.
        public var share: Double
        public var microseconds: ClosedRange<Int64>

        public init(share: Double, microseconds: ClosedRange<Int64>) {
            self.share = share
            self.microseconds = microseconds
        }
    }

    /// What goes wrong, and how slowly all goes. Probabilities are from 0 to 1.
    public struct Faults: Sendable {
        public var openLatency = Latency(share: 1, microseconds: 1000...50_000)
        public var readLatency = Latency(share: 0.1, microseconds: 50...3000)
        public var writeLatency = Latency(share: 0.02, microseconds: 50...20_000)
        public var flushLatency = Latency(share: 1, microseconds: 500...5000)
        /// Calls that fail with `.unavailable`. A write or a flush that fails may have happened all the same.
        public var openErrors = 0.0
        public var readErrors = 0.0
        public var writeErrors = 0.0
        public var flushErrors = 0.0
        /// How often the first batches that nobody flushed survive a crash: whole, in order, the last ones lost.
        public var tornTails = 0.0

        public init() {}
    }

    private let state = Mutex<(databases: [String: SimulatedDatabase], faults: Faults, takesOldStamps: Bool)>(
        ([:], Faults(), true))
    private let watcher = Mutex<(@Sendable (_ database: String, _ batch: [Write]) -> Void)?>(nil)
    private let openWatcher = Mutex<(@Sendable (_ database: String) -> Void)?>(nil)
    let clock: SimulatedClock
    let random: SeededRandom
    let trace: Trace

    public init(seed: UInt64, clock: SimulatedClock, trace: Trace) {
        random = SeededRandom(seed: seed)
        self.clock = clock
        self.trace = trace
    }

    /// May change at any time.
    public var faults: Faults {
        get { state.withLock { $0.faults } }
        set { state.withLock { $0.faults = newValue } }
    }

    /// Whether a write is taken whose stamp, by the clock of its machine, is before that of the last one. SlateDB takes none.
    public var takesOldStamps: Bool {
        get { state.withLock { $0.takesOldStamps } }
        set { state.withLock { $0.takesOldStamps = newValue } }
    }

    /// Tells every batch that becomes durable, in order.
    public func onDurable(_ watcher: @escaping @Sendable (_ database: String, _ batch: [Write]) -> Void) {
        self.watcher.withLock { $0 = watcher }
    }

    /// Tells that a process has a database from now on, and no other process writes to it.
    public func onOpen(_ watcher: @escaping @Sendable (_ database: String) -> Void) {
        openWatcher.withLock { $0 = watcher }
    }

    func tell(_ database: String, _ batches: some Sequence<StampedBatch>) {
        guard let watcher = watcher.withLock({ $0 }) else { return }
        for stamped in batches { watcher(database, stamped.batch) }
    }

    fileprivate func tellOpened(_ database: String) { openWatcher.withLock { $0 }?(database) }

    /// - Parameter clock: of the process, by which its rows expire and its writes are stamped.
    public func mount(_ clock: (any Clock)? = nil) -> SimulatedMount { SimulatedMount(self, clock ?? self.clock) }

    /// Names of the databases, in order.
    public var names: [String] { state.withLock { $0.databases.keys.sorted() } }

    /// Every row that would outlive a crash of all processes.
    public func durableRows(of name: String) -> [Row] {
        state.withLock { $0.databases[name] }?.durable.all(at: clock.now) ?? []
    }

    func database(_ name: String, mustExist: Bool) -> SimulatedDatabase? {
        state.withLock { state in
            if let database = state.databases[name] { return database }
            guard !mustExist else { return nil }
            let database = SimulatedDatabase(name)
            state.databases[name] = database
            return database
        }
    }

    func erase(_ name: String) { state.withLock { $0.databases[name] = nil } }

    /// Waits as long as a call takes.
    /// - Returns: whether it fails.
    func call(_ latency: KeyPath<Faults, Latency>, _ errors: KeyPath<Faults, Double>) async -> Bool {
        let faults = faults
        let latency = faults[keyPath: latency]
        if random.happens(latency.share) { await clock.pause(microseconds: random.number(in: latency.microseconds)) }
        return random.happens(faults[keyPath: errors])
    }
}

/// A batch with the time of its writing, by the clock of the machine that wrote it.
struct StampedBatch: Sendable {
    let batch: [Write]
    let at: Timestamp
}

/// What is durable of one database, and who may write to it.
final class SimulatedDatabase: Sendable {
    private struct State {
        var durable = SortedRows()
        /// The greatest stamp of what is durable.
        var lastWrite = Timestamp(0)
        var writer = 0
        var flushes: UInt64 = 0
    }
    let name: String
    private let state = Mutex(State())

    init(_ name: String) {
        self.name = name
    }

    var durable: SortedRows { state.withLock { $0.durable } }

    /// Moves whenever somebody takes it over, or makes something durable.
    var activity: StoreActivity {
        state.withLock { StoreActivity(openings: UInt64($0.writer), flushes: $0.flushes) }
    }

    /// Fences the writer before.
    func takeOver() -> (writer: Int, rows: SortedRows, lastWrite: Timestamp) {
        state.withLock { state in
            state.writer += 1
            return (state.writer, state.durable, state.lastWrite)
        }
    }

    func isWritten(by writer: Int) -> Bool { state.withLock { $0.writer == writer } }

    /// False when another one writes.
    func apply(_ batches: some Sequence<StampedBatch>, by writer: Int) -> Bool {
        state.withLock { state in
            guard state.writer == writer else { return false }
            state.flushes += 1
            for stamped in batches {
                state.durable.apply(stamped.batch)
                state.lastWrite = max(state.lastWrite, stamped.at)
            }
            return true
        }
    }
}

/// A disk as one process sees it.
public final class SimulatedMount: Sendable {
    private struct State {
        var stores: [SimulatedStore] = []
        var hasCrashed = false
    }
    private let disk: SimulatedDisk
    private let clock: any Clock
    private let state = Mutex(State())

    fileprivate init(_ disk: SimulatedDisk, _ clock: any Clock) {
        self.disk = disk
        self.clock = clock
    }

    /// Opens a database, and makes it where there is none and none need be.
    public func open(_ name: String, mustExist: Bool) async throws(StoreError) -> any KeyValueStore {
        let fails = await disk.call(\.openLatency, \.openErrors)
        guard !state.withLock({ $0.hasCrashed }) else { throw .unavailable("the process is dead") }
        guard !fails else { throw .unavailable("injected fault") }
        guard let database = disk.database(name, mustExist: mustExist) else { throw .corrupt("there is no database \(name)") }
        let store = SimulatedStore(database, on: disk, clock)
        state.withLock { $0.stores.append(store) }
        disk.tellOpened(name)
        disk.trace.note("\(name) opened")
        return store
    }

    public func activity(of name: String) -> StoreActivity? {
        disk.database(name, mustExist: true)?.activity
    }

    public func erase(_ name: String) {
        if !state.withLock({ $0.hasCrashed }) { disk.erase(name) }
    }

    /// The databases close themselves, as SlateDB does when what it stores to was away: what is not durable is gone, and they
    /// may be opened anew.
    public func closeStores() {
        let stores = state.withLock { state in
            defer { state.stores = [] }
            return state.stores
        }
        for store in stores { store.crash() }
    }

    /// The process dies: what it has not made durable is gone, and nothing that it still does has an effect.
    public func crash() {
        let stores = state.withLock { state in
            state.hasCrashed = true
            defer { state.stores = [] }
            return state.stores
        }
        for store in stores { store.crash() }
    }
}
