import SiloCore
import SiloStore
import SiloTesting
import SlateDB
import Synchronization

/// One seed: processes that write, flush, move rows below, crash anywhere and open again, on disks that lose, tear, rot and fill
/// up.
///
/// Each batch holds a row with its number, so what is found after a crash names the moment that it must be equal to.
final class LogCrashRun: Sendable {
    /// What a run shows that must not be.
    struct Violation: Error, CustomStringConvertible {
        let description: String
        init(_ text: String) { description = text }
    }
    struct Tally: Equatable {
        var lives = 0
        var crashes = 0
        var refusals = 0
        var fullDisks = 0
        var failedSyncs = 0
        var checkpoints = 0
        var lostLogs = 0
        /// How often the store below closed itself, and the clock was set back.
        var closures = 0
        var clockSteps = 0
        /// How often a process died just before a step.
        var crashesBefore: [LogStep: Int] = [:]

        static func += (left: inout Tally, right: Tally) {
            for path in [
                \Tally.lives, \.crashes, \.refusals, \.fullDisks, \.failedSyncs, \.checkpoints, \.lostLogs,
                \.closures, \.clockSteps,
            ] as [WritableKeyPath<Tally, Int>] { left[keyPath: path] += right[keyPath: path] }
            left.crashesBefore.merge(right.crashesBefore) { $0 + $1 }
        }
    }
    /// Before which step a process dies, and at the how manieth time; nil: it does not there.
    private struct Plan {
        var step: LogStep
        var count: Int
        let mount: SimulatedMount
    }
    private typealias Rows = [Bytes: Bytes]
    private struct Model {
        /// By the number of the last batch; those that a crash may leave.
        var moments: [Int: Rows] = [0: [:]]
        var last = 0
        var acknowledged = 0
        var hasRotted = false
        var tally = Tally()

        var rows: Rows { moments[last] ?? [:] }

        mutating func forget() { moments = moments.filter { $0.key >= acknowledged } }
    }
    private static let counter: Bytes = [9]
    private static let name = "shard"
    private let random: SeededRandom
    private let clock: SimulatedClock
    private let executor: SeededExecutor
    private let environment: Environment
    private let disk: SimulatedDisk
    private let logDisk: SimulatedLogDisk
    private let settings: LogSettings
    private let plan = Mutex<Plan?>(nil)
    private let machine: SteppedClock
    /// Of the process that lives.
    private let mount = Mutex<SimulatedMount?>(nil)
    private let model = Mutex(Model())
    private let trace: Trace

    init(seed: UInt64, planted: Set<PlantedFault> = []) {
        random = SeededRandom(seed: seed)
        clock = SimulatedClock(seed: seed &+ 1)
        executor = SeededExecutor(seed: seed &+ 2, clock: clock)
        trace = Trace(clock, keeping: .last(60))
        disk = SimulatedDisk(seed: seed &+ 3, clock: clock, trace: trace)
        disk.faults.tornTails = 0.7
        logDisk = SimulatedLogDisk(SeededRandom(seed: seed &+ 4))
        machine = SteppedClock(clock)
        disk.takesOldStamps = false
        environment = Environment(clock: machine, random: SeededRandom(seed: seed &+ 5), executor: executor)
        var settings = LogSettings()
        settings.segmentBytes = 8 * LogFormat.blockBytes
        settings.bufferBytesMax = 3000
        settings.checkpointRowsMax = 3
        settings.planted = planted
        self.settings = settings
    }

    /// - Throws: a `Violation`, or a `Standstill`.
    func run() throws -> Tally {
        do {
            try executor.run(timeMax: 600_000, jobsMax: 300_000) { try await self.live() }
        } catch {
            throw Violation(([String(describing: error)] + trace.lines).joined(separator: "\n"))
        }
        return model.withLock { $0.tally }
    }

    private func live() async throws {
        for _ in 0..<2 + random.below(5) {
            guard try await liveOnce() else { return }
        }
    }

    /// One process. False: the data cannot be opened any more, and rightly so.
    private func liveOnce() async throws -> Bool {
        model.withLock { $0.tally.lives += 1 }
        let mount = disk.mount(machine)
        self.mount.withLock { $0 = mount }
        if random.chance(40) {
            logDisk.crash(afterSteps: 1 + random.below(150))
        } else if random.chance(60) {
            let step = LogStep.allCases[random.below(LogStep.allCases.count)]
            plan.withLock { $0 = Plan(step: step, count: 1 + random.below(random.chance(50) ? 2 : 20), mount: mount) }
        }
        // Below, what fails may have happened all the same.
        let fails = random.chance(25)
        (disk.faults.writeErrors, disk.faults.flushErrors) = fails ? (0.05, 0.2) : (0, 0)
        var opened: LoggedStore?
        do {
            opened = try await open(mount)
        } catch {
            let (mayRefuse, tally) = model.withLock { model in
                if case .corrupt = error { return (model.hasRotted, true) }
                return (true, false)
            }
            guard mayRefuse else { throw Violation("it does not open: \(error.message)") }
            if tally {
                model.withLock { $0.tally.refusals += 1 }
                return false
            }
            // The crash came while it opened, or the disk was full.
            trace.note("opening: \(error.message)")
        }
        if let store = opened {
            do {
                try await check(store, isFresh: true)
                try await work(store)
            } catch let error as StoreError {
                // The process died while it read.
                trace.note("reading: \(error.message)")
            }
            if random.chance(25), try await close(store) { return true }
        }
        try crash(mount)
        try? await opened?.close()
        return random.chance(8) ? try await loseLog() : true
    }

    private func open(_ mount: SimulatedMount) async throws(StoreError) -> LoggedStore {
        let disk: any LogDisk
        do { disk = try logDisk.mount { mount.crash() } } catch { throw StoreError(error) }
        var place = LogPlace(Self.name, disk, SimulatedLogWorker(in: environment, clock, random), in: environment)
        if random.chance(70) { place.helper = SimulatedLogWorker(in: environment, clock, random, latency: 50...3000) }
        place.settings = settings
        #if DEBUG
            place.settings.onStep = { [weak self] step in self?.comes(step) }
        #endif
        place.onEvent = { [weak self] event in self?.note(event) }
        place.reopen = { () throws(StoreError) in try await mount.open(Self.name, mustExist: true) }
        place.look = { [disk = self.disk] () throws(StoreError) in
            let row = disk.durableRows(of: Self.name).first { $0.key == LogPosition.key }
            return try LogPosition.read(row?.value, of: Self.name)
        }
        let below = try await mount.open(Self.name, mustExist: false)
        let budget = LogBudget(overlayBytes: [300, 1000, 4000, 4000][random.below(4)], logBytes: 5 * settings.segmentBytes)
        return try await LoggedStore.open(below, place, budget)
    }

    private func comes(_ step: LogStep) {
        let mount: SimulatedMount? = plan.withLock { plan in
            guard plan?.step == step else { return nil }
            plan?.count -= 1
            guard let due = plan, due.count == 0 else { return nil }
            plan = nil
            return due.mount
        }
        guard let mount else { return }
        trace.note("dies before \(step)")
        model.withLock { $0.tally.crashesBefore[step, default: 0] += 1 }
        logDisk.crash(afterSteps: 1)
        mount.crash()
    }

    private func note(_ event: LogEvent) {
        trace.note("\(event)")
        if case .checkpointed = event { model.withLock { $0.tally.checkpoints += 1 } }
    }

    private func crash(_ mount: SimulatedMount) throws {
        let losesPower = random.chance(70)
        trace.note("crash, power lost: \(losesPower)")
        plan.withLock { $0 = nil }
        mount.crash()
        logDisk.crash(losesPower: losesPower)
        logDisk.bytesMax = .max
        model.withLock { $0.tally.crashes += 1 }
        if random.chance(6), logDisk.rot() {
            trace.note("a bit turns")
            model.withLock { $0.hasRotted = true }
        }
    }

    /// The log is gone: what is only in it must not be taken for never written.
    private func loseLog() async throws -> Bool {
        trace.note("the log is lost")
        logDisk.lose()
        model.withLock { $0.tally.lostLogs += 1 }
        let mount = disk.mount(machine)
        do {
            let store = try await open(mount)
            let number = try await store.get(Self.counter)
            let (acknowledged, last) = model.withLock { ($0.acknowledged, $0.last) }
            guard Self.number(number) >= acknowledged else {
                throw Violation(
                    "the log was lost with batches \(Self.number(number) + 1) to \(acknowledged) of \(last), and it opens")
            }
        } catch let error as StoreError {
            trace.note("refused: \(error.message)")
        }
        return false
    }

    // MARK: What a process does

    private func work(_ store: LoggedStore) async throws {
        for _ in 0..<random.below(60) {
            do throws(StoreError) {
                try await step(store)
            } catch {
                trace.note("step: \(error.message)")
                switch error {
                case .full:
                    model.withLock { $0.tally.fullDisks += 1 }
                    if random.chance(50) { logDisk.bytesMax = .max }
                case .unavailable("injected fault", nil): break
                default: return
                }
            }
            if let error = violation.withLock({ $0 }) { throw error }
        }
    }

    private let violation = Mutex<Violation?>(nil)

    private func step(_ store: LoggedStore) async throws(StoreError) {
        switch random.below(100) {
        case 0..<50: try await write(store)
        case 50..<75: try await flush(store)
        case 75..<85: do { try await check(store, isFresh: false) } catch { try keep(error) }
        case 85..<88: try await checkpoint(store)
        case 88..<90: logDisk.bytesMax = logDisk.bytes + random.below(3) * LogFormat.blockBytes
        case 90..<91:
            logDisk.failNextSync()
            model.withLock { $0.tally.failedSyncs += 1 }
        case 91..<93:
            trace.note("the store below closes itself")
            mount.withLock { $0 }?.closeStores()
            model.withLock { $0.tally.closures += 1 }
        case 93..<94:
            machine.step(milliseconds: random.chance(50) ? 5000 : -2000 - Int64(random.below(4000)))
            model.withLock { $0.tally.clockSteps += 1 }
        default: await clock.pause(microseconds: random.number(in: 0...5000))
        }
    }

    private func keep(_ error: any Error) throws(StoreError) {
        if let error = error as? StoreError { throw error }
        violation.withLock { $0 = $0 ?? (error as? Violation) ?? Violation("\(error)") }
    }

    private func write(_ store: LoggedStore) async throws(StoreError) {
        let (batch, number) = nextBatch()
        // It may get there whatever the call says.
        model.withLock { model in
            var rows = model.rows
            for write in batch { rows[write.key] = write.value }
            model.last = number
            model.moments[number] = rows
        }
        do throws(StoreError) { try await store.write(batch) } catch {
            // Refused: it is nowhere.
            model.withLock { model in
                model.moments[number] = nil
                model.last = number - 1
            }
            throw error
        }
    }

    private func nextBatch() -> ([Write], Int) {
        let (number, rows) = model.withLock { ($0.last + 1, $0.rows) }
        var batch = [Write(key: Self.counter, value: Self.bytes(number))]
        var used: Set<Bytes> = [Self.counter]
        for _ in 0..<random.below(5) {
            let key: Bytes = [UInt8(1 + random.below(3)), UInt8(random.below(12))]
            guard used.insert(key).inserted else { continue }
            let size = random.chance(3) ? 20_000 + random.below(40_000) : random.below(200)
            let value: Bytes? = random.chance(60) ? Bytes(repeating: UInt8(number & 255), count: size) : nil
            batch.append(Write(key: key, value: value, isNew: value != nil && rows[key] == nil && random.chance(80)))
        }
        return (batch, number)
    }

    private func flush(_ store: LoggedStore) async throws(StoreError) {
        let last = model.withLock { $0.last }
        try await store.flush()
        acknowledge(last)
    }

    private func checkpoint(_ store: LoggedStore) async throws(StoreError) {
        let last = model.withLock { $0.last }
        try await store.checkpoint()
        acknowledge(last)
        let number = Self.number(try await store.below.get(Self.counter))
        if number < last { try keep(Violation("a checkpoint leaves batches \(number + 1) to \(last) above")) }
    }

    private func acknowledge(_ number: Int) {
        model.withLock { model in
            model.acknowledged = max(model.acknowledged, number)
            model.forget()
        }
        trace.note("acknowledged \(number)")
    }

    /// False: it was not closed to the end.
    private func close(_ store: LoggedStore) async throws -> Bool {
        let last = model.withLock { $0.last }
        // While the clock is behind, or came to be, the log stays.
        let mayStay = model.withLock { $0.tally.clockSteps > 0 }
        do { try await store.close() } catch {
            trace.note("closing: \(error.message)")
            return false
        }
        acknowledge(last)
        guard logDisk.names.isEmpty || mayStay else {
            throw Violation("it was closed, and its log is still there: \(logDisk.names)")
        }
        return true
    }

    /// What the store shows is what was written: just opened, all that was acknowledged and a whole number of batches more.
    private func check(_ store: LoggedStore, isFresh: Bool) async throws {
        let reader: any StoreReader = if random.chance(30) { try await store.snapshot() } else { store }
        let found = try await reader.scan(from: [0], to: [255], limit: 1000)
        let number = Self.number(found.first { $0.key == Self.counter }?.value)
        let (moment, acknowledged, last) = model.withLock { ($0.moments[number], $0.acknowledged, $0.last) }
        guard number >= acknowledged else {
            throw Violation("batch \(acknowledged) was acknowledged, and \(number) is the last one there")
        }
        guard isFresh || number == last else {
            throw Violation("\(number) is the last batch that is seen, and \(last) was written")
        }
        let expected = (moment ?? [:]).sorted { $0.key.precedes($1.key) }.map { Row(key: $0.key, value: $0.value) }
        guard found == expected else {
            throw Violation("after batch \(number) there are \(found.map(\.key)), and there should be \(expected.map(\.key))")
        }
        let key: Bytes = [UInt8(1 + random.below(3)), UInt8(random.below(12))]
        guard try await reader.get(key) == moment?[key] else { throw Violation("\(key) is not what was written") }
        guard isFresh else { return }
        // It was read, so it has to stay.
        model.withLock { model in
            model.last = number
            model.moments = model.moments.filter { $0.key == number }
        }
        acknowledge(number)
    }

    private static func bytes(_ number: Int) -> Bytes {
        [UInt8(number >> 16 & 255), UInt8(number >> 8 & 255), UInt8(number & 255)]
    }

    private static func number(_ bytes: Bytes?) -> Int { (bytes ?? []).reduce(0) { $0 << 8 | Int($1) } }
}

/// The clocks of a machine whose wall clock is set now and then.
private final class SteppedClock: Clock {
    private let clock: SimulatedClock
    private let ahead = Mutex<Int64>(0)

    init(_ clock: SimulatedClock) { self.clock = clock }

    var now: Timestamp { clock.now + ahead.withLock { $0 } }
    var steady: Timestamp { clock.steady }
    func step(milliseconds: Int64) { ahead.withLock { $0 += milliseconds } }
    func sleep(milliseconds: Int64) async throws { try await clock.sleep(milliseconds: milliseconds) }
}
