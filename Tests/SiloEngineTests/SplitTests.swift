import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import SlateDB
import TestSupport
import Testing

@testable import SiloEngine

/// A shard on disk that is cut in two by two projected clones, and joined again by one: nothing is copied, nothing cleaned up.
@Suite(.timeLimit(.minutes(10))) struct SplitTests {
    private let folder: TemporaryFolder
    /// The stores' own clock is the system's, by which rows expire.
    private let clock = ManualClock(at: SystemClock().now)
    private let tenants = (0..<60).map { Tenant("tenant-\($0)") }
    private let border = Slice.all[Slice.count / 2]

    init() throws { folder = try TemporaryFolder() }

    /// As a server keeps a shard on disk.
    private func store(_ name: String) async throws -> LoggedStore {
        var options = OpenOptions()
        options.hasLog = false
        let database = try await Database.open(name, in: ObjectStore.local(folder.path), options)
        let place = LogPlace(name, try FolderLogDisk("\(folder.path)/\(name)-log"), try LogThread(), in: .system)
        return try await LoggedStore.open(SlateStore(database, flushing: .sortedFiles), place, LogBudget())
    }

    private func open(_ store: any KeyValueStore, seed: UInt64) async throws -> Shard {
        var settings = EngineSettings()
        settings.unheardLeasesMax = 0
        settings.auditMilliseconds = nil
        return try await Shard.open(store, settings: settings, clock: clock, random: SeededRandom(seed: seed))
    }

    /// The lower and the upper slices.
    private var halves: [(name: String, slices: ClosedRange<Slice>)] {
        [("left", Slice.all[0]...Slice.all[Int(border.number) - 1]), ("right", border...Slice.all[Slice.count - 1])]
    }

    /// Makes a shard of parts of closed ones, as their owner would.
    private func make(_ name: String, of parts: [(name: String, slices: ClosedRange<Slice>)]) async throws {
        var stores: [LoggedStore] = []
        var read: [ShardPart] = []
        for part in parts {
            let store = try await store(part.name)
            stores.append(store)
            read.append(ShardPart(store, part.slices))
        }
        let rows = try await ShardPart.shardWideRows(of: read)
        for store in stores { try await store.close() }
        try await Admin(name, in: ObjectStore.local(folder.path)).clone(
            from: parts.map { part in
                let range = Slice.rows(of: part.slices)
                return Admin.Source(path: part.name, start: range.start, end: range.end)
            })
        let made = try await store(name)
        try await made.write(rows)
        try await made.flush()
        try await made.close()
    }

    /// Merges the files of a closed shard into its own: siblings share those of their parent, and are not joined so.
    private func compact(_ name: String) async throws {
        var options = OpenOptions()
        options.hasLog = false
        for part in ["poll_interval", "worker.compactions_poll_interval"] {
            options.settings["compactor_options.\(part)"] = "\"50ms\""
        }
        let database = try await Database.open(name, in: ObjectStore.local(folder.path), options)
        let admin = try Admin(name, in: ObjectStore.local(folder.path))
        var merge = try #require(try await admin.submitFullCompaction(always: true))
        var (progress, asked) = (Admin.Progress.underWay(stage: "", bytes: 0), SystemClock().steady)
        try await eventually("the merge of \(name) to end, which is \(progress)") {
            progress = try await admin.progress(of: merge)
            // Another one, of the compactor's own, was under way: then it fails, or is passed over.
            let now = SystemClock().steady
            if progress == .failed || now - asked > 20_000 {
                merge = try #require(try await admin.submitFullCompaction(always: true))
                asked = now
            }
            return progress == .done
        }
        try await database.close()
    }

    private func audit(_ store: any StoreReader) async throws -> ShardAudit {
        var rows: [Row] = []
        try await store.scanAll(from: [0], to: [0xff]) { row throws(StoreError) in rows.append(row) }
        let audit = ShardAudit(rows)
        #expect(audit.violations == [])
        #expect(audit.stuckLines == [])
        return audit
    }

    /// Jobs of every kind for each tenant: ready, scheduled, in a line, leased, finished, failed, with metadata. Returns what is
    /// leased.
    private func fill(_ shard: Shard) async throws -> [LeasedTask] {
        let one = [slots("one", 1)]
        for tenant in tenants {
            for (id, limits) in [("done", []), ("broken", []), ("runs", one), ("waits 1", one), ("waits 2", one), ("ready", [])] {
                _ = try await shard.run(
                    Enqueue(
                        tenant: tenant, id: JobID(id), limits: limits, metadata: ["k": "v"],
                        taskGroup: id == "ready" ? "later" : "g"))
            }
            let start = clock.now.milliseconds + 60_000
            _ = try await shard.run(Enqueue(tenant: tenant, id: JobID("dated"), startAtMs: start, taskGroup: "later"))
        }
        var running: [LeasedTask] = []
        try await untilNothingIsLeft {
            let tasks = try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: 50)).tasks
            for task in tasks {
                switch task.job.id {
                case "done":
                    try await shard.run(ReportOutcome(tenant: task.tenant, task: task.id, outcome: .success(result: [1])))
                case "broken":
                    try await shard.run(ReportOutcome(tenant: task.tenant, task: task.id, outcome: .failure(code: "X", data: [])))
                default: running.append(task)
                }
            }
            return !tasks.isEmpty
        }
        return running
    }

    /// Reports what runs and works until nothing is left. Returns how many jobs were worked on.
    private func drain(_ shard: Shard, _ running: [LeasedTask]) async throws -> Int {
        var count = running.count
        for task in running {
            try await shard.run(ReportOutcome(tenant: task.tenant, task: task.id, outcome: .success(result: [])))
        }
        for group in ["g", "later"] {
            try await untilNothingIsLeft {
                let tasks = try await shard.lease(Lease(worker: "w", group: group, taskCountMax: 50)).tasks
                count += tasks.count
                for task in tasks {
                    try await shard.run(ReportOutcome(tenant: task.tenant, task: task.id, outcome: .success(result: [])))
                }
                return !tasks.isEmpty
            }
        }
        return count
    }

    @Test(
        "S9: a cut at a slice's border takes limits, lines, leases, timers, pauses and counters along; joined, all is as before")
    func cutAndJoined() async throws {
        let parent = try await store("parent")
        let shard = try await open(parent, seed: 1)
        let running = try await fill(shard)
        #expect(running.count == tenants.count)
        _ = try await shard.run(Pause(.group("paused", of: nil), reason: "for all"))
        let total = try await audit(parent).total
        try await shard.close()

        for half in halves { try await make(half.name, of: [("parent", half.slices)]) }

        var found = 0
        for (number, half) in halves.enumerated() {
            let store = try await store(half.name)
            let shard = try await open(store, seed: UInt64(10 + number))
            let audit = try await audit(store)
            found += audit.total
            #expect(shard.counts.total == Int64(audit.total) && shard.counts.completed == Int64(audit.completed))
            let own = running.filter { half.slices.contains(Slice(of: $0.tenant.hash)) }
            #expect(shard.counts.leases == own.count && own.count > 10)
            #expect(try await shard.run(ListPauses()).keys.map { $0 } == [.group("paused", of: nil)])
            // A job that runs is reported to its child; the slot it held lets the next of its line in.
            try await shard.run(ReportOutcome(tenant: own[0].tenant, task: own[0].id, outcome: .success(result: [])))
            let next = try await shard.lease(Lease(worker: "w", group: "g", taskCountMax: 50)).tasks
            #expect(next.map(\.job.id) == ["waits 1"] && next.first?.tenant == own[0].tenant)
            _ = try await self.audit(store)
            try await shard.close()
            try await compact(half.name)
        }
        #expect(found == total, "each job is in one of the two")

        try await make("joined", of: halves)
        try await compact("joined")
        let store = try await store("joined")
        let joined = try await open(store, seed: 20)
        #expect(try await audit(store).total == total, "merging its files changed nothing")
        let firsts = Set(halves.compactMap { half in running.first { half.slices.contains(Slice(of: $0.tenant.hash)) }?.id })
        let left = running.filter { !firsts.contains($0.id) }
        #expect(joined.counts.leases == tenants.count, "those that ran on, and the two that came after")
        clock.advance(milliseconds: 5000)
        #expect(
            try await drain(joined, left) == 4 * tenants.count - 6,
            "all but what is dated, was reported, or stands behind the two that run")
        _ = try await audit(store)
        try await joined.close()
    }

    @Test("S9: what was freed by dropping the holders of a limit stays free where the shard is cut")
    func dropsCut() async throws {
        let (parent, one) = (try await store("drops"), LimitKey("one"))
        let shard = try await open(parent, seed: 1)
        let running = try await fill(shard)
        for tenant in tenants { #expect(try await shard.run(DropHolders(tenant: tenant, key: one)) == 1) }
        _ = try await audit(parent)
        try await shard.close()
        for half in halves { try await make(half.name, of: [("drops", half.slices)]) }

        for (number, half) in halves.enumerated() {
            let store = try await store(half.name)
            let shard = try await open(store, seed: UInt64(10 + number))
            _ = try await audit(store)
            let own = running.filter { half.slices.contains(Slice(of: $0.tenant.hash)) }
            #expect(own.count > 10)
            // What ran before the drop frees nothing; one behind it has its slot.
            try await shard.run(ReportOutcome(tenant: own[0].tenant, task: own[0].id, outcome: .success(result: [])))
            let next = try await lease(shard, "g").tasks
            #expect(next.count == own.count && next.allSatisfy { $0.job.id == "waits 1" })
            #expect(try await shard.run(DropHolders(tenant: own[1].tenant, key: one)) == 1)
            let last = try await lease(shard, "g").tasks
            #expect(last.map(\.job.id) == ["waits 2"] && last.map(\.tenant) == [own[1].tenant])
            _ = try await audit(store)
            try await shard.close()
        }
    }

    // MARK: Limits that need time

    private static let rateMilliseconds: Int64 = 3_600_000

    /// For each tenant a bucket that is used up with a job behind it, a refresh that is out, and a job between two attempts.
    private func fillLimits(_ shard: Shard) async throws -> [LeasedRefresh] {
        for tenant in tenants {
            for number in 1...2 {
                let limit = rate("r", 1, per: Self.rateMilliseconds)
                _ = try await shard.run(
                    Enqueue(tenant: tenant, id: JobID("rated \(number)"), limits: [limit], taskGroup: "rated"))
                _ = try await shard.run(
                    Enqueue(tenant: tenant, id: JobID("floats \(number)"), limits: [floating("f", 1)], taskGroup: "floats"))
            }
            _ = try await shard.run(
                Enqueue(tenant: tenant, id: JobID("delayed"), retryPolicy: policy(1, initial: 20_000), taskGroup: "delayed"))
        }
        for (group, outcome) in [("rated", .success(result: [])), ("delayed", .failure(code: "X", data: []))]
            as [(String, ReportOutcome.Outcome)]
        {
            let leased = try await lease(shard, group)
            #expect(leased.tasks.count == tenants.count)
            for task in leased.tasks {
                try await shard.run(ReportOutcome(tenant: task.tenant, task: task.id, outcome: outcome))
            }
        }
        return try await lease(shard, "floats").refreshes
    }

    private func lease(_ shard: Shard, _ group: String) async throws -> Leased {
        var all = Leased()
        var turnsWithout = 0
        try await untilNothingIsLeft {
            let leased = try await shard.lease(Lease(worker: "w", group: group, taskCountMax: 50))
            all.tasks += leased.tasks
            all.refreshes += leased.refreshes
            // Timers fire at the end of a turn.
            turnsWithout = leased.isEmpty ? turnsWithout + 1 : 0
            return turnsWithout < 5
        }
        return all
    }

    @Test("S9: a rate's bucket, a refresh that is out and a wait between attempts go along through cut and join, and go on")
    func limitsCutAndJoined() async throws {
        let parent = try await store("limits")
        let shard = try await open(parent, seed: 1)
        let refreshes = try await fillLimits(shard)
        #expect(refreshes.count == tenants.count)
        _ = try await audit(parent)
        try await shard.close()
        for half in halves { try await make(half.name, of: [("limits", half.slices)]) }

        var reported: Set<Tenant> = []
        for (number, half) in halves.enumerated() {
            let store = try await store(half.name)
            let shard = try await open(store, seed: UInt64(10 + number))
            let own = refreshes.filter { half.slices.contains(Slice(of: $0.tenant.hash)) }
            let other = try #require(refreshes.first { !half.slices.contains(Slice(of: $0.tenant.hash)) })
            #expect(own.count > 10)
            for group in ["rated", "delayed"] { #expect(try await lease(shard, group).tasks.isEmpty, "\(group) too early") }
            #expect(try await lease(shard, "floats").refreshes.isEmpty, "they are out")
            // The answer raises the limit: the second job of the tenant starts.
            try await shard.run(ReportRefresh(tenant: own[0].tenant, task: own[0].id, outcome: .success(newMax: 2)))
            reported.insert(own[0].tenant)
            let next = try await lease(shard, "floats").tasks
            #expect(next.map(\.tenant) == [own[0].tenant] && next.map(\.job.id) == ["floats 2"])
            let failure = try await refusal {
                try await shard.run(ReportRefresh(tenant: other.tenant, task: other.id, outcome: .success(newMax: 2)))
            }
            #expect(failure != nil, "it is the other half's")
            _ = try await audit(store)
            try await shard.close()
            try await compact(half.name)
        }

        try await make("joined", of: halves)
        try await compact("joined")
        let store = try await store("joined")
        let joined = try await open(store, seed: 20)
        for refresh in refreshes where !reported.contains(refresh.tenant) {
            try await joined.run(ReportRefresh(tenant: refresh.tenant, task: refresh.id, outcome: .success(newMax: 2)))
        }
        #expect(try await lease(joined, "floats").tasks.count == tenants.count - 2)
        for group in ["rated", "delayed"] { #expect(try await lease(joined, group).tasks.isEmpty, "\(group) too early") }
        clock.advance(milliseconds: 41_000)
        let retried = try await lease(joined, "delayed").tasks
        #expect(retried.count == tenants.count && retried.allSatisfy { $0.attempt == 2 })
        #expect(try await lease(joined, "rated").tasks.isEmpty, "the bucket is used up still")
        clock.advance(milliseconds: Self.rateMilliseconds)
        let rated = try await lease(joined, "rated").tasks
        #expect(rated.count == tenants.count && rated.allSatisfy { $0.job.id == "rated 2" })
        _ = try await audit(store)
        try await joined.close()
    }
}
