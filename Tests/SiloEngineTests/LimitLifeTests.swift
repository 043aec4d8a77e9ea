import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// Jobs with limits of every kind through random lives, audited after each step; in the end nothing is held.
@Suite(.timeLimit(.minutes(10))) struct LimitLifeTests {
    private static let pauses: [PauseTarget] = [
        .limit(LimitKey("x"), of: Bench.tenant), .limit(LimitKey("f"), of: Bench.tenant), .tenant(Bench.tenant),
        .group(TaskGroup("g"), of: nil),
    ]

    private struct Life {
        var bench: Bench
        let random: SeededRandom
        /// Jobs whose rate limit has a bound on retries are among them.
        let givesUp: Bool
        var tasks: [LeasedTask] = []
        var refreshes: [LeasedRefresh] = []
        var count = 0

        func limits() -> [StorageV1.Limit] {
            let all = [
                slots("x", 1 + UInt32(random.below(3))), slots("y", 2), floating("f", 1, every: 2000),
                rate("k", 3, per: 1000, hits: Int32(random.below(3))), rate("l", 2, per: 1500, leaky: true, burst: 3),
                rate("m", 2, per: 700, retries: givesUp ? 4 : 0, backoff: 300),
            ]
            return all.filter { _ in random.chance(35) }
        }

        mutating func takeTask() -> LeasedTask? { tasks.isEmpty ? nil : tasks.remove(at: random.below(tasks.count)) }
        func someID() -> String { "\(random.below(max(1, count)))" }

        mutating func step() async throws {
            switch random.below(20) {
            case 0...4:
                try await enqueue()
            case 5...7:
                let leased = try await bench.leased(1 + random.below(3), group: random.chance(80) ? "g" : "h")
                tasks += leased.tasks
                refreshes += leased.refreshes
            case 8, 9:
                if let task = takeTask() { _ = try await refusal { try await bench.succeed(task) } }
            case 10:
                if let task = takeTask() { _ = try await refusal { try await bench.fail(task) } }
            case 11: _ = try await refusal { try await bench.cancel(someID()) }
            case 12: _ = try await refusal { try await bench.restart(someID()) }
            case 13: _ = try await refusal { try await bench.expedite(someID()) }
            case 14: _ = try await refusal { try await bench.delete(someID()) }
            case 15:
                if random.chance(50), let task = takeTask() { try await bench.giveBack([task]) }
                if random.chance(20) { _ = try await refusal { tasks.append(try await bench.leaseJob(someID())) } }
            case 16:
                let target = LimitLifeTests.pauses[random.below(LimitLifeTests.pauses.count)]
                if random.chance(40) { try await bench.pause(target) } else { try await bench.resume(target) }
            case 17:
                if random.chance(15) { _ = try await bench.dropHolders() }
                if random.chance(40) { _ = try await bench.dropHolders(key: ["x", "y", "f"][random.below(3)]) }
                guard !refreshes.isEmpty else { return }
                let refresh = refreshes.removeFirst()
                let outcome: ReportRefresh.Outcome = random.chance(30) ? .failure : .success(newMax: UInt32(random.below(4)))
                _ = try await refusal { try await bench.report(refresh, outcome) }
            case 18: try await bench.pass(Int64(random.below(1500)))
            default: try await batch()
            }
            for task in tasks where random.chance(30) { _ = try await refusal { try await bench.heartbeat(task) } }
        }

        private mutating func enqueue() async throws {
            try await bench.enqueue(
                "\(count)", priority: UInt32(random.below(100)), after: random.chance(20) ? Int64(random.below(3000)) : nil,
                retries: random.chance(30) ? 1 : nil, group: random.chance(80) ? "g" : "h",
                payload: Bytes(repeating: 0, count: random.chance(10) ? 5000 : 10), limits: limits()
            )
            count += 1
        }

        /// Several commands in one batch, some of them refused.
        private mutating func batch() async throws {
            let limits = (0..<4).map { _ in self.limits() }
            let reports = (0..<random.below(3)).compactMap { _ in takeTask() }
                .map { ReportOutcome(tenant: $0.tenant, task: $0.id, outcome: .success(result: [])) }
            let (first, old, gone) = (count, someID(), someID())
            count += 2
            try await bench.together {
                bench.shard.submit(Each(reports)) { _ in }
                bench.shard.submit(newJob("\(first)", limits: limits[0])) { _ in }
                bench.shard.submit(EnqueueAll([newJob("n\(first)", limits: limits[1]), newJob("\(first)", limits: [])])) { _ in }
                bench.shard.submit(Cancel(tenant: Bench.tenant, id: JobID(gone))) { _ in }
                bench.shard.submit(Each([newJob("\(first + 1)", limits: limits[2]), newJob(old, limits: limits[3])])) {
                    _ in
                }
                bench.shard.submit(Cancel(tenant: Bench.tenant, id: JobID("\(first)"))) { _ in }
            }
            try await bench.poke()
        }

        /// Violations, but for counts of starts in windows, which one look at the rows cannot tell.
        var violations: [String] { bench.violations.filter { !$0.contains("are allowed") } }
    }

    @Test(
        "14.104 L27: after any mix of what can happen, everything ends and nothing is held, promised or waiting",
        arguments:
            Array(1...4) as [UInt64], ["plain", "tiny", "gives up"]
    )
    func life(seed: UInt64, kind: String) async throws {
        let bench = try await Bench.open { settings in
            if kind == "tiny" { tiny(&settings) }
            settings.passedOverMilliseconds = 2000
        }
        var life = Life(bench: bench, random: SeededRandom(seed: seed), givesUp: kind == "gives up")
        for step in 0..<220 {
            try await life.step()
            if life.random.chance(6) {
                life.bench = try await life.bench.crash()
                if life.random.chance(50) { try await life.bench.settle(3) }
            }
            let violations = life.violations
            guard violations.isEmpty else {
                Issue.record("step \(step): \(violations)")
                return
            }
        }
        try await end(&life)
    }

    /// Bugs of dropping the holders of one key, planted in what is written.
    enum Bug: CaseIterable, Sendable {
        case keyForgetsDrop, keyForgetsVoidHolds, keyKeepsVoidHolds, tenantForgetsDrop, taskForgetsDrop, leaseForgetsDrop

        @Sendable func mangle(_ write: Write) -> Write? {
            guard write.key.count > 2, let value = write.value else { return write }
            func changed<Record: Message>(_ change: (inout Record) -> Void) -> Write {
                guard var record = try? Record(serializedBytes: value) else { return write }
                change(&record)
                return Write(key: write.key, value: record.serializedBytes(), isNew: write.isNew)
            }
            switch (self, write.key[2]) {
            case (.keyForgetsDrop, 0x25): return changed { (slots: inout StorageV1.Slots) in slots.keyDrops = 0 }
            case (.keyForgetsVoidHolds, 0x25): return changed { (slots: inout StorageV1.Slots) in slots.voidHolds = 0 }
            case (.keyKeepsVoidHolds, 0x25):
                return changed { (slots: inout StorageV1.Slots) in if slots.keyDrops > 0 { slots.voidHolds += 1 } }
            case (.tenantForgetsDrop, 0x04): return changed { (state: inout StorageV1.TenantState) in state.keyDrops = 0 }
            case (.taskForgetsDrop, 0x20): return changed { (task: inout StorageV1.Task) in task.keyHold = 0 }
            case (.leaseForgetsDrop, 0x21): return changed { (lease: inout StorageV1.Lease) in lease.keyHold = 0 }
            default: return write
            }
        }
    }

    @Test("a bug in what is written of dropped holders is found", arguments: Bug.allCases)
    func isFound(_ bug: Bug) async throws {
        for seed in UInt64(1)...20 {
            var life = Life(bench: try await Bench.open(), random: SeededRandom(seed: seed), givesUp: false)
            life.bench.store.set { $0.mangle = bug.mangle }
            for _ in 0..<220 {
                try await life.step()
                if life.random.chance(6) {
                    life.bench = try await life.bench.crash()
                    life.bench.store.set { $0.mangle = bug.mangle }
                }
                if !life.violations.isEmpty { return try await life.bench.shard.close() }
            }
            try await life.bench.shard.close()
        }
        Issue.record("\(bug) was not found by 20 seeds")
    }

    @Test("wherever the store fails in a life, what is stored is whole", arguments: 1...4 as ClosedRange<UInt64>)
    func faults(seed: UInt64) async throws {
        let bench = try await Bench.open { settings in
            if seed % 2 == 0 { tiny(&settings) }
        }
        var life = Life(bench: bench, random: SeededRandom(seed: seed + 1000), givesUp: false)
        for round in 0..<25 {
            for _ in 0..<6 { try await life.step() }
            let left = life.random.below(8)
            life.bench.store.set { $0.callsLeft = left }
            for _ in 0..<4 {
                _ = try? await life.bench.leased(2)
                _ = try? await life.bench.cancel(life.someID())
                if let task = life.takeTask() { _ = try? await life.bench.succeed(task) }
                _ = try? await life.bench.shard.run(newJob("r\(round) \(life.random.below(99))", limits: life.limits()))
            }
            life.bench = try await life.bench.crash()
            let violations = life.violations
            guard violations.isEmpty else {
                Issue.record("round \(round): \(violations)")
                return
            }
        }
        try await end(&life)
    }

    /// Takes the pauses back and lets everything end: workers that were lost by their leases, waiting jobs by their turn.
    private func end(_ life: inout Life) async throws {
        let bench = life.bench
        for target in Self.pauses { try await bench.resume(target) }
        for _ in 0..<400 {
            try await bench.pass(1000)
            try await bench.settle(12)
            for group in ["g", "h"] {
                let leased = try await bench.leased(20, group: group)
                for refresh in leased.refreshes { try await bench.report(refresh, .success(newMax: 3)) }
                try await bench.succeed(leased.tasks)
            }
            if bench.shard.counts.total == bench.shard.counts.completed { break }
        }
        #expect(bench.shard.counts.total == bench.shard.counts.completed)
        #expect(life.violations == [])
        #expect(try await bench.waitingCount() == 0)
        for key in ["x", "y", "f"] { #expect(try await bench.held(key) ?? 0 == 0) }
        for key in ["k", "l", "m"] { #expect(try await bench.bucket(key)?.reserved ?? 0 == 0) }
        #expect(bench.shard.counts.lines == 0)
        try await bench.finish()
    }
}
