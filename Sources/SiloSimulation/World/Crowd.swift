import Protobuf
import SiloAPI
import SiloCore
import SiloServer
import SiloTesting
import Synchronization

/// Very many tenants with one job each, and those who work them off: a hundred thousand where the shard may hold as many, a few
/// thousand where it has little memory or a small mailbox, and takes long for each.
final class Crowd: Sendable {
    private static let batch = 500
    private static let group = "crowd"
    private let world: World
    private let caller: Caller
    private let tenantCount: Int
    private let state = Mutex((stored: [String](), isOver: false))

    init(_ world: World) {
        self.world = world
        caller = Caller(world)
        let isSlow = [.smallMemory, .tinyMailbox, .slowDisk].contains { world.scenario.has($0) }
        tenantCount = isSlow ? 3000 : 100_000
    }

    /// Tenants whose job is stored for certain.
    var stored: [String] { state.withLock { $0.stored } }

    func enqueue(until end: Timestamp) async {
        let shards = await caller.shards()
        var tenants: [String: [String]] = [:]
        for index in 0..<tenantCount {
            let hash = Tenant("crowd \(index)").hash
            let shard = shards.first {
                ShardRange(start: TenantHash(text: $0.rangeStart), end: TenantHash(text: $0.rangeEnd)).contains(hash)
            }
            tenants[shard?.shardId ?? "", default: []].append("crowd \(index)")
        }
        for (shard, all) in tenants.sorted(by: { $0.key < $1.key }) {
            for start in stride(from: 0, to: all.count, by: Self.batch) {
                guard world.clock.now < end, world.violations.isEmpty else { return }
                await enqueue(Array(all[start..<min(start + Self.batch, all.count)]), in: shard)
            }
        }
    }

    private func enqueue(_ tenants: [String], in shard: String) async {
        var request = SiloV1.EnqueueBatchRequest()
        request.shard = shard
        request.jobs = tenants.map { tenant in
            var job = SiloV1.EnqueueRequest()
            job.tenant = tenant
            job.id = "job"
            job.taskGroup = Self.group
            return job
        }
        guard let response = await caller.insist(SiloV1.Silo.enqueueBatch, request) else { return }
        // Those that are there already came with an earlier send, whose answer was lost.
        let stored = zip(tenants, response.results).filter { [0, 6].contains($0.1.code) }.map(\.0)
        state.withLock { $0.stored += stored }
    }

    /// Takes hundreds of jobs at once, and reports them at once.
    func work() async {
        while !state.withLock({ $0.isOver }) {
            var request = SiloV1.LeaseTasksRequest()
            request.workerId = Self.group
            request.taskGroup = Self.group
            request.maxTasks = UInt32(Self.batch)
            request.waitMs = 2000
            guard let tasks = try? await caller.call(SiloV1.Silo.leaseTasks, request, timeout: .seconds(30)).tasks else {
                try? await world.clock.sleep(milliseconds: 500)
                continue
            }
            var reports: [String: SiloV1.ReportOutcomesRequest] = [:]
            for task in tasks {
                var report = SiloV1.ReportOutcomeRequest()
                report.taskId = task.id
                report.tenantId = task.tenantId
                report.outcome = .success(SiloV1.SerializedBytes())
                reports[task.shard, default: SiloV1.ReportOutcomesRequest()].shard = task.shard
                reports[task.shard]?.outcomes.append(report)
            }
            for report in reports.sorted(by: { $0.key < $1.key }) {
                _ = try? await caller.call(SiloV1.Silo.reportOutcomes, report.value, timeout: .seconds(30))
            }
        }
    }

    func stop() { state.withLock { $0.isOver = true } }
}
