import SiloCore
import SiloEngine
import SiloService
import SiloTelemetry
import SiloWeb
import Synchronization

/// Everything that a node measures.
final class NodeMetrics: Sendable {
    let registry = MetricsRegistry()
    let calls = CallMetrics()
    let queries = QueryMetrics()
    let refusedConnections = Counter()
    private let shards = Mutex<[ShardID: ShardMetrics]>([:])
    private let storage = Mutex<[ShardID: (engine: StorageMetrics, debt: DebtMetrics)]>([:])
    /// Task groups of a shard that are counted by themselves.
    private let groupsMax: Int

    init(_ settings: NodeSettings, allocator: AllocatorFigures?) {
        groupsMax = settings.engine.measuredGroupsMax
        registry.add { page in
            page.add(MetricNames.build, MetricLabels("version", settings.version), 1)
            ProcessMetrics.show(on: &page)
            for (kind, bytes) in allocator?() ?? [] { page.add(MetricNames.allocator, MetricLabels("kind", kind), bytes) }
        }
        registry.add { [calls, refusedConnections] page in
            calls.show(on: &page)
            page.add(MetricNames.refusedConnections, .none, refusedConnections)
        }
    }

    /// Who is told what a shard does.
    func shard(_ id: ShardID) -> ShardMetrics {
        shards.withLock { shards in
            if let metrics = shards[id] { return metrics }
            let metrics = ShardMetrics(id, groupsMax: groupsMax)
            shards[id] = metrics
            return metrics
        }
    }

    /// Shows the shards of a node too, as long as they are its own.
    func watch(_ core: NodeCore, in environment: Environment, runningCalls: @escaping @Sendable () -> Int) {
        registry.add { [self, shards = core.shards, admin = core.admin, room = core.room] page in
            if let room { Self.show(room, on: &page) }
            let hosts = shards.hosts
            page.add(MetricNames.shardsOwned, .none, hosts.count)
            page.add(MetricNames.shardsOpen, .none, hosts.count { $0.shard != nil })
            page.add(MetricNames.runningCalls, .none, runningCalls())
            queries.show(on: &page, of: hosts.map(\.id))
            for host in hosts {
                let metrics = shard(host.id)
                metrics.show(on: &page)
                let storage = storage(of: host.id, admin, metrics.labels, in: environment)
                ShardLevels(host: host, labels: metrics.labels, storage: storage.engine, debt: storage.debt).show(on: &page)
            }
        }
    }

    /// Shows what the logs on local disk take up.
    func watch(_ logs: LocalLogs) {
        registry.add { page in page.add(MetricNames.logRoomUsed, .none, logs.roomUsed) }
    }

    /// Shows what becomes of log lines.
    func watch(_ log: LogControl) {
        registry.add { page in
            let lines = log.lines
            page.add(MetricNames.logLines, by: "outcome", [("written", lines.written), ("dropped", lines.dropped)])
        }
    }

    private static func show(_ room: DataGuard, on page: inout MetricsPage) {
        let use = room.use
        if let size = use.diskBytes, let free = use.freeBytes {
            page.add(MetricNames.diskSize, .none, size)
            page.add(MetricNames.diskFree, .none, free)
            page.add(MetricNames.diskReserved, .none, use.reserveBytes)
        }
        if let size = use.dataBytes, let most = use.dataBytesMax {
            page.add(MetricNames.dataSize, .none, size)
            page.add(MetricNames.dataMax, .none, most)
        }
        page.add(MetricNames.refusedCalls, refusal("enqueue", "disk"), room.refused(for: .disk))
        page.add(MetricNames.refusedCalls, refusal("enqueue", "max_data"), room.refused(for: .maxData))
    }

    private static func refusal(_ call: String, _ reason: String) -> MetricLabels {
        MetricLabels([("call", call), ("reason", reason)])
    }

    /// Shows when the certificates end.
    func watch(_ files: AccessFiles) {
        registry.add { [weak files] page in
            for certificate in files?.certificates ?? [] {
                page.add(MetricNames.certificateEnd, MetricLabels("certificate", certificate.kind.rawValue), certificate.until)
            }
        }
    }

    /// Shows whom the gate refused for their number, and what becomes of lines for the audit log.
    func watch(_ gate: Gate) {
        registry.add { page in
            page.add(MetricNames.refusedCalls, Self.refusal("enqueue", "token_limit"), gate.limitedEnqueues)
            page.add(MetricNames.refusedCalls, Self.refusal("other", "token_limit"), gate.limitedOthers)
        }
        guard let audit = gate.audit else { return }
        registry.add { page in
            let (written, dropped) = audit.counts
            let leftOut = gate.refusalsLeftOut.value
            page.add(
                MetricNames.auditLines, by: "outcome", [("written", written), ("dropped", dropped), ("left_out", leftOut)])
        }
    }

    /// What all shards counted, those that were once this node's as well.
    func add(to figures: inout Figures) {
        for metrics in shards.withLock({ Array($0.values) }) { metrics.add(to: &figures) }
    }

    /// Shows what becomes of spans.
    func watch(_ tracer: RecordingTracer) {
        registry.add { page in
            let counts = tracer.counts
            page.add(MetricNames.waitingSpans, .none, counts.waiting)
            page.add(
                MetricNames.spans, by: "outcome",
                [("exported", counts.exported), ("dropped", counts.dropped), ("failed", counts.failed)])
        }
    }

    /// What was seen last of a shard's files; see `DebtMetrics.seen`.
    func debt(of id: ShardID, _ admin: AdminOperations, in environment: Environment) -> StorageDebt? {
        storage(of: id, admin, shard(id).labels, in: environment).debt.seen
    }

    private func storage(
        of id: ShardID, _ admin: AdminOperations, _ labels: MetricLabels, in environment: Environment
    ) -> (engine: StorageMetrics, debt: DebtMetrics) {
        storage.withLock { storage in
            let own = storage[id] ?? (
                StorageMetrics(labels, in: environment),
                DebtMetrics(labels, in: environment) { try? await admin.storageDebt(of: id) }
            )
            storage[id] = own
            return own
        }
    }
}

extension MetricsPage {
    fileprivate mutating func add(_ metric: Metric, by label: String, _ counts: [(value: String, count: UInt64)]) {
        for (value, count) in counts { add(metric, MetricLabels(label, value), count) }
    }
}

/// What the program's allocator says of its memory, in bytes by kind.
package typealias AllocatorFigures = @Sendable () -> [(kind: String, bytes: Int)]
