import SiloTelemetry
import SlateDB

/// One metric that a server shows of SlateDB's own: which samples of the library it is the sum of.
struct StorageMetric: Sendable {
    let metric: Metric
    /// The library's name.
    let source: String
    /// Only samples with this label.
    let only: (name: String, value: String)?
    /// Labels of the library that are shown.
    let kept: [String]

    private init(
        _ kind: Metric.Kind, _ name: String, _ source: String, only: (String, String)? = nil, keeping kept: [String] = [],
        _ help: String
    ) {
        metric = Metric(kind, "silo_slatedb_\(name)", ["shard"] + kept, help)
        self.source = "slatedb.\(source)"
        self.only = only.map { (name: $0.0, value: $0.1) }
        self.kept = kept
    }

    private static let calls = ["component", "store_type", "op", "api"]

    static let all: [StorageMetric] = [
        .init(.counter, "get_requests_total", "db.request_count", only: ("op", "get"), "Reads of single rows"),
        .init(.counter, "scan_requests_total", "db.request_count", only: ("op", "scan"), "Scans"),
        .init(.counter, "flush_requests_total", "db.request_count", only: ("op", "flush"), "Flushes asked for"),
        .init(.counter, "write_ops_total", "db.write_ops", "Rows written"),
        .init(.counter, "write_batch_count_total", "db.write_batch_count", "Batches written"),
        .init(.counter, "backpressure_count_total", "db.backpressure_count", "Writes that had to wait for flushes"),
        .init(.counter, "wal_buffer_flushes_total", "wal.wal_buffer_flushes", "Flushes of SlateDB's own log"),
        .init(.counter, "wal_flush_bytes_total", "wal.wal_flush_bytes", "Bytes of them"),
        .init(.gauge, "wal_buffer_estimated_bytes", "wal.wal_buffer_estimated_bytes", "Rows in memory for that log"),
        .init(.counter, "immutable_memtable_flushes_total", "db.immutable_memtable_flushes", "Tables in memory made into files"),
        .init(.counter, "l0_flush_bytes_total", "db.l0_flush_bytes", "Bytes of those files"),
        .init(.counter, "l0_stalls_total", "db.l0_stall_count", "Waits for files to be merged before more could be written"),
        .init(.counter, "sst_filter_positives_total", "db.sst_filter_positive_count", "Filters that let a read through"),
        .init(.counter, "sst_filter_negatives_total", "db.sst_filter_negative_count", "Filters that spared a read"),
        .init(
            .counter, "sst_filter_false_positives_total", "db.sst_filter_false_positive_count",
            "Filters that let one through in vain"),
        .init(.gauge, "l0_sst_count", "db.l0_sst_count", "Files that are not merged yet"),
        .init(.gauge, "sorted_runs", "db.sorted_run_count", "Sorted runs, into which files were merged"),
        .init(.gauge, "total_mem_size_bytes", "db.total_mem_size_bytes", "Tables in memory"),
        .init(.counter, "bytes_compacted_total", "compactor.bytes_compacted", "Bytes written by merges"),
        .init(.gauge, "running_compactions", "compactor.running_compactions", "Merges under way"),
        .init(.gauge, "compacting_bytes", "compactor.total_bytes_being_compacted", "Bytes that they have to write"),
        .init(
            .gauge, "last_compaction_ts_seconds", "compactor.last_compaction_timestamp_sec",
            "When the last merge ended, in seconds since the Unix epoch"),
        .init(
            .counter, "expired_entries_purged_value_total", "compactor.expired_entries_purged", only: ("entry_type", "value"),
            "Rows past their time that merges left out"),
        .init(
            .counter, "cache_hits_total", "db_cache.access_count", only: ("result", "hit"), keeping: ["entry_kind"],
            "Found in the cache"),
        .init(
            .counter, "cache_misses_total", "db_cache.access_count", only: ("result", "miss"), keeping: ["entry_kind"],
            "Read because the cache had it not"),
        .init(.counter, "gc_runs_total", "gc.count", "Looks for files that nothing needs any more"),
        .init(.counter, "gc_deleted_total", "gc.deleted_count", keeping: ["resource"], "Files that nothing needed any more"),
        .init(.counter, "object_store_requests_total", "object_store.request_count", keeping: calls, "Requests to the storage"),
        .init(
            .counter, "object_store_errors_total", "object_store.error_count", keeping: calls,
            "Of them, those that failed; looking for what is not there is such a one"),
        .init(
            .summary, "object_store_request_duration_seconds", "object_store.request_duration_seconds", keeping: calls,
            "How long they took"),
    ]

    private static let bySource = Dictionary(grouping: all, by: \.source)

    /// The samples of the library, added up. What is nothing and has labels of its own is left out.
    static func sums(
        of samples: [Metrics.Sample]
    ) -> [(entry: StorageMetric, labels: [(String, String)], value: Double, count: UInt64?)] {
        var sums: [String: (entry: StorageMetric, labels: [(String, String)], value: Double, count: UInt64?)] = [:]
        for sample in samples {
            for entry in bySource[sample.name] ?? [] {
                if let only = entry.only, sample.labels[only.name] != only.value { continue }
                let labels = entry.kept.map { ($0, sample.labels[$0] ?? "") }
                let (value, count) = number(sample.value)
                guard entry.kept.isEmpty || value > 0 else { continue }
                let key = entry.metric.name + labels.map { "/" + $0.1 }.joined()
                let before = sums[key]
                sums[key] = (entry, labels, (before?.value ?? 0) + value, count.map { $0 + (before?.count ?? 0) })
            }
        }
        return Array(sums.values)
    }

    private static func number(_ value: Metrics.Value) -> (Double, count: UInt64?) {
        switch value {
        case .counter(let count): (Double(count), nil)
        case .gauge(let level): (Double(level), nil)
        case .histogram(let sum, let count): (sum, count)
        }
    }
}
