import GRPC
import Protobuf
import SiloAPI
import SiloClient
import SiloCore
package import SiloEngine
import SiloServer
import SiloStore
package import SiloTesting
import Synchronization

/// One run of a scenario: clients, workers, nodes and faults on one thread, and everybody who checks on them.
package final class World: Sendable {
    let scenario: Scenario
    private let simulated: SimulatedWorld
    var clock: SimulatedClock { simulated.clock }
    var trace: Trace { simulated.trace }
    var disk: SimulatedDisk { simulated.disk }
    var wire: SimulatedWire { simulated.wire }
    let limiter: SimulatedLimiter
    let book: Book
    private let audits = AuditDesk()
    private let events: WorldEvents
    private let nodes: Mutex<[SimulatedNode]> = Mutex([])
    private let crowd = Mutex<Crowd?>(nil)
    private let begun: Timestamp
    private let clocks: SeededRandom

    static let addresses = ["a:1", "b:1"]

    package init(_ scenario: Scenario, keeping extent: Trace.Extent) {
        self.scenario = scenario
        let simulated = SimulatedWorld(seed: scenario.seed, keeping: extent)
        self.simulated = simulated
        limiter = SimulatedLimiter(seed: simulated.random.next(), clock: simulated.clock)
        book = Book(simulated.clock, leaseMilliseconds: scenario.leaseMilliseconds, allGo: scenario.has(.retention))
        events = WorldEvents(book)
        begun = simulated.clock.now
        clocks = SeededRandom(seed: scenario.seed &* 8191)
        let trace = simulated.trace
        let watch = LeaseWatch(leaseMilliseconds: scenario.leaseMilliseconds) { [trace, book] violation in
            trace.note("VIOLATION \(violation)")
            book.complain(violation)
        }
        if scenario.has(.tenantDrops) { watch.tenantIsDropped() }
        simulated.wire.watch(SimulatedWire.Watcher(sent: { watch.sent($0, $1) }, ended: { [clock = simulated.clock] in
            watch.ended($0, $1, sentAt: Timestamp($2 / 1000), $3, at: clock.now)
        }))
        simulated.disk.takesOldStamps = !scenario.has(.storeClock)
        if scenario.has(.clocks) || scenario.has(.clockSteps) { simulated.disk.onOpen { [audits] in audits.clockWasSet(in: $0) } }
        simulated.disk.onDurable { [audits, trace, book] database, batch in
            for violation in audits.apply(batch, to: database) {
                trace.note("VIOLATION \(violation)")
                book.complain(violation)
            }
        }
    }

    /// What does not hold. It ends at the first violation that is found.
    package var violations: [String] { book.violations }
    package var traceLines: [String] { trace.lines }
    package var traceFingerprint: UInt64 { trace.fingerprint }
    package var simulatedMilliseconds: Int64 { clock.now - begun }
    package var jobs: Int { book.counts.enqueued + (crowd.withLock { $0 }?.stored.count ?? 0) }
    /// Rare branches of the engine that were reached, and how often.
    package var branches: [Branch: Int] { events.branches }

    /// Simulated time that a run may take.
    private static let timeMax: Int64 = 24 * 3_600_000

    package func run() {
        do {
            try simulated.run(timeMax: Self.timeMax) { [self] in await live() }
        } catch {
            book.complain("\(error)")
        }
    }

    // MARK: The course of things

    private func live() async {
        await startNode(at: Self.addresses[0])
        let end = clock.now + scenario.loadSeconds * 1000
        let workers = Workers(self)
        let crowd = scenario.has(.crowd) ? Crowd(self) : nil
        self.crowd.withLock { $0 = crowd }
        await withDiscardingTaskGroup { group in
            group.addTask { await workers.run() }
            group.addTask { await crowd?.work() }
            await withDiscardingTaskGroup { load in
                for index in 0..<scenario.producers { load.addTask { await Producer(self, index).run(until: end) } }
                if scenario.has(.badWorkers) {
                    for index in 0..<2 { load.addTask { await BadWorker(self, index).run(until: end) } }
                }
                load.addTask { await crowd?.enqueue(until: end) }
                load.addTask { await Chaos(self).run(until: end) }
            }
            await mend()
            await drain()
            workers.stop()
            crowd?.stop()
        }
        for node in nodes.withLock({ $0 }) { await node.stop() }
        checkEnd()
        let stayed = scenario.has(.retention) ? [] : crowd?.stored ?? []
        for tenant in stayed where audits.state(of: Book.JobName(tenant: tenant, id: "job")) == nil {
            book.complain("the job of \(tenant) was acknowledged and is lost")
        }
    }

    /// Nothing goes wrong any more, and nothing is paused.
    private func mend() async {
        disk.faults = SimulatedDisk.Faults()
        // As if the clocks had been set right: a run does not wait for the hour by which one was ahead.
        disk.takesOldStamps = true
        wire.faults = SimulatedWire.Faults()
        for address in Self.addresses { wire.mend(address) }
        limiter.set(failures: 0, silences: 0)
        node?.clock?.set(aheadMilliseconds: 0)
        trace.note("all is mended")
        await resumeAll()
    }

    private func resumeAll() async {
        let caller = Caller(self)
        for shard in await caller.shards() {
            var list = SiloV1.ListPausesRequest()
            list.shard = shard.shardId
            guard let pauses = await caller.insist(SiloV1.Silo.listPauses, list) else { continue }
            for pause in pauses.pauses {
                var request = SiloV1.ResumeRequest()
                request.shard = shard.shardId
                request.tenant = pause.tenant
                request.target = pause.target
                _ = await caller.insist(SiloV1.Silo.resume, request)
            }
        }
    }

    /// Every job ends now.
    private func drain() async {
        for _ in 0..<2000 {
            if audits.unfinished.isEmpty || !violations.isEmpty { return }
            try? await clock.sleep(milliseconds: 5000)
        }
        book.complain(
            "these jobs do not end: \(audits.unfinished.prefix(10).joined(separator: ", ")); "
                + "\(audits.stuckLines.joined(separator: "; "))"
        )
    }

    private func checkEnd() {
        guard violations.isEmpty else { return }
        for line in audits.stuckLines { book.complain(line) }
        if audits.heldSlots > 0 { book.complain("L3 L27: \(audits.heldSlots) slots are held in the end") }
        if audits.setAside > 0 { book.complain("\(audits.setAside) rows were set aside") }
        for (job, mustHaveSucceeded, mustBeCancelled) in book.promised {
            switch audits.state(of: job) {
            case nil where scenario.has(.retention): break
            case nil: book.complain("\(job) was acknowledged and is lost")
            case .succeeded: break
            case let state? where mustHaveSucceeded: book.complain("the success of \(job) was acknowledged; it is \(state)")
            case .cancelled: break
            case let state? where mustBeCancelled: book.complain("\(job) was cancelled and is \(state)")
            default: break
            }
        }
        // What the rows say in the end is what the batches led to.
        for name in disk.names where name != "map" {
            for violation in ShardAudit(disk.durableRows(of: name)).violations { book.complain("in the end: \(violation)") }
        }
    }

    // MARK: Nodes

    private var settings: NodeSettings {
        var settings = NodeSettings(data: "simulated")
        settings.shardCount = 1 + Int(scenario.seed % 3)
        settings.tenancy = true
        settings.engine = scenario.engine
        return settings
    }

    /// Opens what is on the disk, trying again while that fails, and serves it at `address`. Whoever served it before is fenced.
    func startNode(at address: String) async {
        while true {
            do {
                let node = try await SimulatedNode.start(
                    on: disk, at: address, settings, in: simulated, clock: nextClock(),
                    rateLimiter: scenario.has(.external) ? limiter : nil,
                    events: { [events] _ in events }
                )
                return nodes.withLock { $0.append(node) }
            } catch {
                try? await clock.sleep(milliseconds: 500)
            }
        }
    }

    /// The clock of another machine: right, somewhat wrong, or very much.
    private func nextClock() -> SkewedClock {
        guard scenario.has(.clocks) else { return SkewedClock(clock, aheadMilliseconds: 0, rate: 1) }
        let reach = clocks.chance(20) ? 3_600_000 : 10_000
        let ahead = Int64(clocks.below(2 * reach + 1) - reach)
        let rate = clocks.chance(50) ? 1 : Double(900 + clocks.below(201)) / 1000
        trace.note("a clock is \(ahead) ms ahead and runs \(rate) times as fast")
        return SkewedClock(clock, aheadMilliseconds: ahead, rate: rate)
    }

    var node: SimulatedNode? { nodes.withLock { $0.last } }

    func crash(_ node: SimulatedNode) {
        nodes.withLock { $0.removeAll { $0 === node } }
        node.kill()
    }

    func client(timeout: Duration = .seconds(5), caller: String? = nil) -> Client {
        simulated.client(Self.addresses[0], Self.addresses[1], caller: caller) { $0.timeout = timeout }
    }

    func tenant(_ random: SeededRandom) -> String { "t\(random.below(scenario.tenants))" }
}

/// What the shards of a world tell of their work.
private final class WorldEvents: EngineEvents {
    private let book: Book
    private let counts = Mutex<[Branch: Int]>([:])

    init(_ book: Book) {
        self.book = book
    }

    var branches: [Branch: Int] { counts.withLock { $0 } }

    func reached(_ branch: Branch, count: Int) { counts.withLock { $0[branch, default: 0] += count } }

    func healed(_ fault: HealedFault, count: Int, isFirst: Bool) {
        book.complain("a broken invariant was mended in passing: \(fault.rawValue)")
    }
}

/// The audits of all databases. Everything here happens on the executor's one thread.
private final class AuditDesk: @unchecked Sendable {
    private var audits: [String: RunningAudit] = [:]

    func apply(_ batch: [Write], to database: String) -> [String] {
        guard database != "map" else { return [] }
        let audit = audits[database] ?? RunningAudit()
        audits[database] = audit
        return audit.apply(batch)
    }

    func clockWasSet(in database: String) { audits[database]?.clockWasSet() }

    var unfinished: [String] { audits.values.flatMap(\.unfinished).sorted() }
    var stuckLines: [String] { audits.values.flatMap(\.stuckLines).sorted() }
    var heldSlots: UInt64 { audits.values.reduce(0) { $0 + $1.heldSlots } }
    var setAside: Int { audits.values.reduce(0) { $0 + $1.setAside } }

    func state(of job: Book.JobName) -> StorageV1.JobState? {
        audits.values.lazy.compactMap { $0.state(of: job.id, tenant: job.tenant) }.first
    }
}
