import GRPC
import Protobuf
import SiloAPI
import SiloClient
import SiloCore
import SiloEngine
import SiloServer
import SiloStore
package import SiloTesting
import Synchronization

/// One run of a scenario: clients, workers, nodes and faults on one thread, and everybody who checks on them.
package final class World: Sendable {
    let scenario: Scenario
    let clock: SimulatedClock
    let executor: SeededExecutor
    let surroundings: Surroundings
    let trace: Trace
    let disk: SimulatedDisk
    let wire: SimulatedWire
    let limiter: SimulatedLimiter
    let book: Book
    private let audits = AuditDesk()
    private let nodes: Mutex<[SimulatedNode]> = Mutex([])
    private let begun: Timestamp

    static let addresses = ["a:1", "b:1"]

    package init(_ scenario: Scenario, keeping extent: Trace.Extent) {
        self.scenario = scenario
        let seeds = SeededRandom(seed: scenario.seed &* 0x9e37_79b9 &+ 1)
        clock = SimulatedClock(seed: seeds.next())
        executor = SeededExecutor(seed: seeds.next(), clock: clock)
        surroundings = Surroundings(clock: clock, random: SeededRandom(seed: seeds.next()), executor: executor)
        trace = Trace(clock, keeping: extent)
        disk = SimulatedDisk(seed: seeds.next(), clock: clock, trace: trace)
        wire = SimulatedWire(seed: seeds.next(), clock: clock, trace: trace)
        limiter = SimulatedLimiter(seed: seeds.next(), clock: clock)
        book = Book(clock)
        begun = clock.now
        disk.onDurable { [audits, trace, book] database, batch in
            for violation in audits.apply(batch, to: database) {
                trace.note("VIOLATION \(violation)")
                book.complain(violation)
            }
        }
        executor.onStandstill { [wire] in "calls under way: \(wire.runningCalls.joined(separator: ", "))" }
    }

    /// What does not hold. It ends at the first violation that is found.
    package var violations: [String] { book.violations }
    package var traceLines: [String] { trace.lines }
    package var traceFingerprint: UInt64 { trace.fingerprint }
    package var simulatedMilliseconds: Int64 { clock.now - begun }
    package var jobs: Int { book.counts.enqueued }

    /// Simulated time that a run may take.
    private static let timeMax: Int64 = 24 * 3_600_000

    package func run() {
        do {
            try executor.run(timeMax: Self.timeMax) { [self] in await live() }
        } catch {
            book.complain("\(error)")
        }
    }

    // MARK: The course of things

    private func live() async {
        await startNode(at: Self.addresses[0])
        let end = clock.now + scenario.loadSeconds * 1000
        let workers = Workers(self)
        await withDiscardingTaskGroup { group in
            group.addTask { await workers.run() }
            await withDiscardingTaskGroup { load in
                for index in 0..<scenario.producers { load.addTask { await Producer(self, index).run(until: end) } }
                if scenario.has(.badWorkers) {
                    for index in 0..<2 { load.addTask { await BadWorker(self, index).run(until: end) } }
                }
                load.addTask { await Chaos(self).run(until: end) }
            }
            await mend()
            await drain()
            workers.stop()
        }
        for node in nodes.withLock({ $0 }) { await node.stop() }
        checkEnd()
    }

    /// Nothing goes wrong any more, and nothing is paused.
    private func mend() async {
        disk.faults = SimulatedDisk.Faults()
        wire.faults = SimulatedWire.Faults()
        for address in Self.addresses { wire.mend(address) }
        limiter.set(failures: 0, silences: 0)
        trace.note("all is mended")
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
        book.complain("these jobs do not end: \(audits.unfinished.prefix(10).joined(separator: ", ")); \(audits.stuckLines.joined(separator: "; "))")
    }

    private func checkEnd() {
        guard violations.isEmpty else { return }
        for line in audits.stuckLines { book.complain(line) }
        if audits.heldSlots > 0 { book.complain("L3 L27: \(audits.heldSlots) slots are held in the end") }
        if audits.setAside > 0 { book.complain("\(audits.setAside) rows were set aside") }
        for (job, mustHaveSucceeded, mustBeCancelled) in book.promised {
            switch audits.state(of: job) {
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

    func startNode(at address: String) async {
        let node = await SimulatedNode.start(
            at: address, on: disk, wire, settings, in: surroundings, rateLimiter: scenario.has(.external) ? limiter : nil
        )
        nodes.withLock { $0.append(node) }
    }

    var node: SimulatedNode? { nodes.withLock { $0.last } }

    func crash(_ node: SimulatedNode) {
        nodes.withLock { $0.removeAll { $0 === node } }
        node.crash()
    }

    func client(timeout: Duration = .seconds(5)) -> Client {
        var options = ClientOptions(servers: Self.addresses)
        options.timeout = timeout
        return Client(options, in: surroundings) { [wire] address in wire.transport(to: address) }
    }

    func tenant(_ random: SeededRandom) -> String { "t\(random.below(scenario.tenants))" }
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

    var unfinished: [String] { audits.values.flatMap(\.unfinished).sorted() }
    var stuckLines: [String] { audits.values.flatMap(\.stuckLines).sorted() }
    var heldSlots: UInt64 { audits.values.reduce(0) { $0 + $1.heldSlots } }
    var setAside: Int { audits.values.reduce(0) { $0 + $1.setAside } }

    func state(of job: Book.JobName) -> StorageV1.JobState? {
        audits.values.lazy.compactMap { $0.state(of: job.id, tenant: job.tenant) }.first
    }
}
