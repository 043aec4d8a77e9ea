/// Where jobs are kept.
package struct DatabaseSettings: SettingsSection {
    package let name = "database"
    package let about = "Where jobs are kept, and with how much memory."

    package let backend = Setting<String?>(
        "database.backend", .word(["fs", "s3", "gcs", "memory", "url"]), absent: "fs; needed in a file",
        help: "what kind of place path is; url: one as --data takes it, such as az://container/prefix"
    )
    package let path = Setting<String?>(
        "database.path", .text, absent: "$XDG_DATA_HOME/silo or ~/.local/share/silo",
        .option("data", "d", "place", help: "a folder, s3://bucket/prefix, gs://..., az://... or memory:"),
        help: "a folder; for s3 and gcs bucket/prefix; for url what --data takes. %shard% or {shard} at its end stands for each "
            + "shard's own folder, and may be left out"
    )
    package let logBackend = Setting<String?>(
        "database.wal.backend", .word(["fs"]), help: "the kind of place of the log; only folders on local disk are of use"
    )
    package let logPath = Setting<String?>(
        "database.wal.path", .text, absent: "beside the data", .option("log", nil, "folder"),
        help: "a folder on local disk for the log of data in a bucket: answers wait for the disk, and only this machine can "
            + "open the shards until they were closed"
    )
    package let flushGap = Setting<Duration?>(
        "database.flush_gap", .duration(0...60_000), absent: "0ms; 20ms on an object store without a log on local disk",
        .option("flush-gap-ms", nil, "ms", unit: Milliseconds.one), .reloadable, help: "least time between two log flushes"
    )
    package let cacheBytes = Setting<Int>(
        "database.cache_size", .size(Bytes.mebi...Bytes.tebi), default: 128 << 20,
        .option("cache-mib", nil, "size", unit: Bytes.mebi), help: "memory for what is read from storage, over all shards"
    )
    package let overlayBytes = Setting<Int>(
        "database.log_memory", .size(Bytes.mebi...Bytes.tebi), default: 128 << 20,
        .option("log-memory-mib", nil, "size", unit: Bytes.mebi),
        help: "memory for rows that are only in a log on local disk, over all shards"
    )
    package let slatedb = Setting<[String: String]>(
        "database.slatedb", .table(SlateDBSettings.forms), default: [:],
        help: "settings of the storage engine, for every shard, such as flush_interval = \"100ms\" or "
            + "compactor_options.poll_interval = \"5s\""
    )
    package let completedRetention = Setting<Duration?>(
        "database.completed_job_expire_s", .duration(0...Milliseconds.max, unit: Milliseconds.second), absent: "for ever",
        .option("completed-job-expire-secs", nil, "seconds", unit: Milliseconds.second), .reloadable,
        help: "how long a succeeded job is kept that does not say it itself"
    )
    package let terminalRetention = Setting<Duration?>(
        "database.terminal_job_expire_s", .duration(0...Milliseconds.max, unit: Milliseconds.second), absent: "for ever",
        .option("terminal-job-expire-secs", nil, "seconds", unit: Milliseconds.second), .reloadable,
        help: "how long a failed or cancelled job is kept that does not say it itself"
    )
    package let maxData = Setting<String>(
        "database.max_data", .maxData, default: "auto", .option("max-data", nil, "size|percent"), .reloadable,
        help: "refuse new jobs when the data has that size (200GiB), or its disk is that full (90%); auto: when less than a "
            + "tenth of the disk is free, or 1 GiB; off: never"
    )
    package let fullCompaction = Setting<Duration?>(
        "database.periodic_full_compaction_s", .duration(1000...Milliseconds.max, unit: Milliseconds.second), absent: "never",
        help: "the time between two full compactions of every shard, by which files of deleted rows go that are too few to be "
            + "merged by themselves"
    )
    package let blockCacheBytes = Setting<Int?>(
        "database.memory_cache.block_cache_bytes", .size(Bytes.mebi...Bytes.tebi, unit: Bytes.one),
        absent: "three quarters of cache_size, shared among the shards",
        help: "memory of each shard for blocks read from storage"
    )
    package let metadataCacheBytes = Setting<Int?>(
        "database.memory_cache.meta_cache_bytes", .size(Bytes.mebi...Bytes.tebi, unit: Bytes.one),
        absent: "a quarter of cache_size, shared among the shards",
        help: "memory of each shard for indexes and filters"
    )

    // Parts that work otherwise here. Files written for upstream say them, so they are checked.
    package let applyLogOnClose = Setting<Bool>(
        "database.apply_wal_on_close", .flag, default: true, .unused("always done"),
        help: "a log on local disk goes to the main store when a shard is closed"
    )
    package let reconcileInterval = Setting<Duration>(
        "database.concurrency_reconcile_interval_ms", .duration(0...Milliseconds.day, unit: Milliseconds.one),
        default: .seconds(5),
        .unused(Self.grants), help: "time between two passes over waiting requests"
    )
    package let counterReconciliation = Setting<Duration?>(
        "database.counter_reconciliation_seconds", .duration(0...Milliseconds.max, unit: Milliseconds.second), absent: "never",
        .unused("counts are exact"), help: "time between two recounts"
    )
    package let hydrateAtStart = Setting<Bool>(
        "database.hydrate_all_at_startup", .flag, default: false, .unused(Self.grants), help: "load all holders before serving"
    )
    package let scannerBatch = Setting<Int>(
        "database.grant_scanner_batch_size", .number(0...Self.many), default: 256, .unused(Self.grants),
        help: "requests read at once"
    )
    package let scannerBuffer = Setting<Int>(
        "database.grant_scanner_buffer_size", .number(0...Self.many), default: 64, .unused(Self.grants),
        help: "requests kept in memory"
    )
    package let scannerConcurrency = Setting<Int>(
        "database.grant_scanner_concurrency", .number(0...Self.many), default: 8, .unused(Self.grants), help: "scans at once"
    )
    package let scannerColdBatch = Setting<Int>(
        "database.grant_scanner_cold_batch_size", .number(0...Self.many), default: 64, .unused(Self.grants),
        help: "requests read at once of a queue that was idle"
    )
    package let reconcileSlice = Setting<Int>(
        "database.concurrency_reconcile_scan_slice", .number(0...Self.many), default: 20_000, .unused(Self.grants),
        help: "rows of one pass"
    )
    package let driftSlice = Setting<Int>(
        "database.holder_drift_scan_slice", .number(0...Self.many), default: 5000, .unused(Self.grants),
        help: "rows of one recount"
    )
    package let nextHopBacklog = Setting<Int>(
        "database.grant_scanner_next_hop_skip_min_backlog", .number(0...Self.many), default: 1024, .unused(Self.grants),
        help: "backlog from which a second limit is looked at first; 0: never"
    )
    package let liveHeadroom = Setting<Double>(
        "database.grant_scanner_live_headroom_fraction", .fraction(0...0.9), default: 0, .unused(Self.grants),
        help: "share of the slots that scans leave free"
    )
    package let commitChunk = Setting<Int>(
        "database.grant_scanner_commit_chunk_size", .number(0...Self.many), default: 16, .unused(Self.grants),
        help: "grants of one write"
    )
    package let countFromCounters = Setting<Bool>(
        "database.count_from_status_counters", .flag, default: true, .unused("counters are exact: counts always come from them"),
        help: "answer counts in SQL from counters"
    )

    private static let grants = "slots are granted as they come free, and nothing scans for them"
    private static let many = 1 << 30
}

package struct LimitSettings: SettingsSection {
    package let name = "limits"
    package let about = "Limits of jobs."

    package let auditInterval = Setting<Duration>(
        "limits.audit_interval", .duration(0...Milliseconds.day), default: .seconds(60),
        .option("audit-secs", nil, "seconds", unit: Milliseconds.second), .reloadable,
        help: "time between two audits of what the limits hold; 0: none"
    )
}

/// Named apart from the settings that the server makes of it.
package struct GubernatorSection: SettingsSection {
    package let name = "gubernator"
    package let about = "An external rate limiter."

    package let address = Setting<String?>(
        "gubernator.address", .text, .option("gubernator", nil, "host:port"),
        help: "the rate limiter to ask; it must answer when the server starts"
    )
    package let coalesce = Setting<Duration>(
        "gubernator.coalesce_interval_ms", .duration(0...1000, unit: Milliseconds.one), default: .milliseconds(5),
        .option("gubernator-coalesce-ms", nil, "ms", unit: Milliseconds.one),
        help: "how long a check waits for others to share its call"
    )
    package let batchMax = Setting<Int>(
        "gubernator.max_batch_size", .number(0...1000), default: 100, .option("gubernator-batch", nil, "count"),
        help: "checks in one call"
    )
    package let connectTimeout = Setting<Duration>(
        "gubernator.connect_timeout_ms", .duration(0...600_000, unit: Milliseconds.one), default: .seconds(5),
        .option("gubernator-connect-timeout-ms", nil, "ms", unit: Milliseconds.one), help: "how long to try to reach it"
    )
    package let requestTimeout = Setting<Duration>(
        "gubernator.request_timeout_ms", .duration(0...600_000, unit: Milliseconds.one), default: .seconds(10),
        .option("gubernator-request-timeout-ms", nil, "ms", unit: Milliseconds.one), help: "how long a call may take"
    )
}
