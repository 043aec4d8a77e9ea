package import SiloTelemetry

/// Every metric that a server shows, in one table: what is measured uses it, and docs/observability.md is made from it. Names,
/// labels and buckets are upstream's where it has the same thing (spec/operations.md 8).
package enum MetricNames {
    // Jobs.
    static let enqueued = Metric(.counter, "silo_jobs_enqueued_total", ["shard"], "Jobs stored by enqueues; imports do not count")
    static let dequeued = Metric(.counter, "silo_jobs_dequeued_total", ["shard", "task_group"], "Tasks that workers got")
    static let completed = Metric(
        .counter, "silo_jobs_completed_total", ["shard", "status"],
        "Outcomes that workers reported, as succeeded, failed or cancelled; a failure that is retried is one too")
    static let attempts = Metric(
        .counter, "silo_job_attempts_total", ["shard", "task_group", "is_retry"], "Attempts that began")
    static let jobWait = Metric(
        .histogram, "silo_job_wait_time_seconds", ["shard", "task_group"], "Time from storing a job to leasing it")
    static let readyToStart = Metric(
        .histogram, "silo_ready_to_start_latency_ms", ["shard", "task_group"],
        "Time from the start of an attempt to its lease, waiting for limits included, in milliseconds")
    static let runTime = Metric(
        .histogram, "silo_job_run_time_seconds", ["shard", "task_group"], "Time from a lease to the report of its outcome")
    static let polls = Metric(.counter, "silo_polls_total", ["shard", "task_group"], "Requests of workers for tasks")
    static let leases = Metric(.gauge, "silo_task_leases_active", ["shard", "task_group"], "Tasks that workers have")
    static let expired = Metric(
        .counter, "silo_lease_reaper_leases_reaped_total", ["shard"], "Leases whose workers were not heard of in time")
    static let jobs = Metric(
        .gauge, "silo_jobs", ["shard", "task_group", "state"],
        "Jobs stored: scheduled (for a later time), waiting (for a limit), ready, running, succeeded, failed, cancelled")
    static let pausedJobs = Metric(
        .gauge, "silo_jobs_paused", ["shard", "task_group"],
        "Of the jobs that are ready, those that do not start because their tenant or their group is paused")
    static let oldestReady = Metric(
        .gauge, "silo_oldest_ready_job_age_seconds", ["shard", "task_group"],
        "How long the job has been due that is next in the queue of its tenant and has waited longest, as far as memory tells; "
            + "jobs that are paused do not count")
    static let waitingWorkers = Metric(.gauge, "silo_waiting_workers", ["shard"], "Requests of workers that wait for tasks")
    static let tenantTurns = Metric(
        .counter, "silo_tenant_turns_total", ["shard"], "Turns that tenants used up, so that another's came")

    static let bulkRunning = Metric(.gauge, "silo_bulk_actions_running", ["shard"], "Bulk actions that go on")
    static let bulkJobs = Metric(
        .counter, "silo_bulk_jobs_total", ["shard", "action", "outcome"],
        "Jobs that bulk actions came to, done or refused; action is cancel, restart, expedite or delete")

    // gRPC.
    static let calls = Metric(
        .counter, "silo_grpc_requests_total", ["method", "status"],
        "Calls answered; method is unknown for one that is not served")
    static let callSeconds = Metric(
        .histogram, "silo_grpc_request_duration_seconds", ["method"], "Time from a call to its answer; waiting for work included")
    static let refusedConnections = Metric(
        .counter, "silo_connections_refused_total", [],
        "Connections of callers that were closed: there were too many, or too few descriptors were left")
    static let refusedCalls = Metric(
        .counter, "silo_calls_refused_total", ["call", "reason"],
        "Calls refused for want of room: disk (it is nearly full), max_data (database.max_data is reached), token_limit (a token "
            + "asked for more than it may); call is enqueue (of one job, of several, imports) or other")
    static let runningCalls = Metric(.gauge, "silo_grpc_calls_running", [], "Calls that are not answered yet")

    // Shards.
    static let shardsOwned = Metric(.gauge, "silo_shards_owned", [], "Shards of this server")
    static let shardsOpen = Metric(.gauge, "silo_coordination_shards_open", [], "Of them, those that serve")
    static let shardServing = Metric(.gauge, "silo_shard_serving", ["shard"], "Whether the shard serves: 1 or 0")
    static let mailbox = Metric(
        .gauge, "silo_mailbox_requests", ["shard", "lane"],
        "Requests that wait for the shard: own (its own), renewal (heartbeats and outcomes), ordinary")
    static let mailboxAge = Metric(.gauge, "silo_mailbox_oldest_age_seconds", ["shard"], "How long the oldest of them has waited")
    static let inHand = Metric(.gauge, "silo_requests_in_hand", ["shard"], "Requests taken in and not answered")
    static let inHandBytes = Metric(.gauge, "silo_requests_in_hand_bytes", ["shard"], "What they count as, in memory")
    static let turnAge = Metric(
        .gauge, "silo_shard_turn_age_seconds", ["shard"], "How long the turn under way goes on; 0: none is")
    static let flushAge = Metric(
        .gauge, "silo_shard_flush_age_seconds", ["shard"], "How long the flush under way goes on; 0: none is")

    // Batches.
    static let turns = Metric(.counter, "silo_turns_total", ["shard"], "Turns of the shard's loop")
    static let batchRows = Metric(.histogram, "silo_batch_rows", ["shard"], "Rows of the write batches")
    static let batchBytes = Metric(.counter, "silo_batch_bytes_total", ["shard"], "Bytes of keys and values in write batches")
    static let stages = Metric(
        .histogram, "silo_stage_duration_seconds", ["shard", "stage"],
        "Time by stage: wait (the oldest request of a turn), run (its commands), write, flush, answer")
    static let flushedBytes = Metric(.counter, "silo_flushed_bytes_total", ["shard"], "Bytes of the batches that flushes covered")

    // Limits.
    static let granted = Metric(
        .counter, "silo_concurrency_tickets_granted_total", ["shard", "path"],
        "Jobs that got all that their limits ask for: immediate, or scanned (after waiting)")
    static let limits = Metric(.gauge, "silo_limits", ["shard", "kind"], "Limits in memory: concurrency, rate")
    static let lines = Metric(.gauge, "silo_limit_lines", ["shard"], "Lines of jobs that wait for the same limits")
    static let pauses = Metric(.gauge, "silo_pauses", ["shard"], "Pauses in force")
    static let refreshes = Metric(.gauge, "silo_refreshes_outstanding", ["shard"], "Refreshes of floating limits under way")
    static let drift = Metric(
        .gauge, "silo_concurrency_holder_drift", ["shard"],
        "Slots that the last audit found held by nobody, or by two; anything but 0 is a fault of the server")
    static let audits = Metric(.counter, "silo_holder_audits_total", ["shard"], "Audits of what limits hold")
    static let mended = Metric(
        .counter, "silo_invariants_mended_total", ["shard", "fault"],
        "Broken invariants that were mended in passing; anything but 0 is a fault of the server or of its disk")
    static let branches = Metric(
        .counter, "silo_rare_branches_total", ["shard", "branch"], "Rare cases of the engine that came up")

    // Memory of a shard.
    static let queues = Metric(.gauge, "silo_queues", ["shard"], "Queues in memory, one for each tenant and task group")
    static let windowed = Metric(.gauge, "silo_broker_buffer_size", ["shard"], "Pending tasks that windows hold in memory")

    // The log on local disk.
    static let logSegments = Metric(.gauge, "silo_log_segments", ["shard"], "Files of the log that are not free")
    static let overlayBytes = Metric(
        .gauge, "silo_log_overlay_bytes", ["shard"], "Memory of rows that are in the log and not in sorted files")
    static let logRoomUsed = Metric(
        .gauge, "silo_log_room_used_ratio", [],
        "How much of the room for logs of all shards is in use, memory (database.log_memory) or disk: from a half on they are "
            + "moved to sorted files, at 1 writers wait")
    static let checkpoints = Metric(.counter, "silo_log_checkpoints_total", ["shard"], "Moves of rows from log to sorted files")
    static let checkpointRows = Metric(.counter, "silo_log_checkpoint_rows_total", ["shard"], "Rows that were moved so")
    static let checkpointSeconds = Metric(.counter, "silo_log_checkpoint_seconds_total", ["shard"], "How long that took")

    // Statements.
    static let queriesRunning = Metric(.gauge, "silo_query_inflight", ["shard"], "Statements that run")
    static let querySeconds = Metric(
        .histogram, "silo_query_duration_seconds", [], "Time from letting a statement in to its last row, or its failure")
    static let queryRows = Metric(.counter, "silo_query_rows_total", [], "Rows that statements answered")
    static let queryFailures = Metric(
        .counter, "silo_query_errors_total", ["kind"],
        "Statements that failed: syntax, parameter, execution, deadline, memory, result_size, disconnect (nobody waited), "
            + "shutdown, shard (one did not answer)")
    static let queriesRejected = Metric(
        .counter, "silo_query_rejected_total", ["shard", "reason"],
        "Statements refused: concurrency (the shard had as many as it may), result_size")
    static let queriesCancelled = Metric(
        .counter, "silo_query_cancelled_total", ["shard", "reason"],
        "Statements ended early: deadline, disconnect")
    static let queryScannedKeys = Metric(
        .counter, "silo_query_scanned_keys_total", ["shard"], "Rows of the store that statements read in ranges")
    static let queryLookups = Metric(
        .counter, "silo_query_point_lookups_total", ["shard"], "Rows of the store that statements looked up one by one")

    // The debt of storage.
    static let storageBytes = Metric(.gauge, "silo_storage_bytes", ["shard"], "Bytes of all sorted files that are in use")
    static let unmergedBytes = Metric(
        .gauge, "silo_storage_unmerged_bytes", ["shard"], "Of them, those that are not merged into the largest sorted run")
    static let deletedBytes = Metric(
        .gauge, "silo_storage_deleted_bytes", ["shard"], "About, of rows that were deleted and are still in sorted files")
    static let storageCheckpoints = Metric(
        .gauge, "silo_storage_checkpoints", ["shard"], "Views of the data that keep files from being deleted")
    static let oldestCheckpoint = Metric(
        .gauge, "silo_storage_oldest_checkpoint_age_seconds", ["shard"], "How old the oldest of them is; 0: there is none")

    // Room for data.
    static let diskSize = Metric(
        .gauge, "silo_disk_size_bytes", [], "Size of the disk of the data or of the log, of the one with less room to spare")
    static let diskFree = Metric(.gauge, "silo_disk_free_bytes", [], "What of it is free")
    static let diskReserved = Metric(
        .gauge, "silo_disk_reserved_bytes", [], "What of it is kept free: with less, new jobs are refused")
    static let dataSize = Metric(.gauge, "silo_data_bytes", [], "Size of the data, where database.max_data bounds it")
    static let dataMax = Metric(.gauge, "silo_data_max_bytes", [], "That bound: with more, new jobs are refused")

    // Certificates.
    static let certificateEnd = Metric(
        .gauge, "silo_tls_certificate_not_after_timestamp_seconds", ["certificate"],
        "When the first certificate of a file ends, in seconds since the Unix epoch: server (the chain that is served), "
            + "client_ca (callers' authorities)")

    // Lines.
    static let logLines = Metric(
        .counter, "silo_log_lines_total", ["outcome"],
        "Lines of the log: written, dropped (nobody took them in time, or the disk was full)")
    static let auditLines = Metric(
        .counter, "silo_audit_lines_total", ["outcome"],
        "Lines of the audit log: written, dropped (there was no room), left_out (refusals past ten a second)")

    // Traces.
    static let spans = Metric(
        .counter, "silo_trace_spans_total", ["outcome"],
        "Spans that ended: exported, dropped (there was no room), failed (the collector did not take them)")
    static let waitingSpans = Metric(.gauge, "silo_trace_spans_waiting", [], "Spans that wait to be exported")

    // The process.
    static let build = Metric(.gauge, "silo_build_info", ["version"], "Always 1; its label tells what runs")
    static let httpConnections = Metric(.gauge, "silo_http_connections", [], "Connections to the port of this page")
    static let allocator = Metric(
        .gauge, "silo_tcmalloc_bytes", ["kind"],
        "Memory of the allocator: allocated, heap (taken from the system), pageheap_free, pageheap_unmapped, thread_cache")
    static let cpu = Metric(.counter, "process_cpu_seconds_total", [], "Processor time used, of user and system")
    static let openFiles = Metric(.gauge, "process_open_fds", [], "Open file descriptors")
    static let maxFiles = Metric(.gauge, "process_max_fds", [], "Most file descriptors that may be open")
    static let virtualMemory = Metric(.gauge, "process_virtual_memory_bytes", [], "Virtual memory")
    static let residentMemory = Metric(.gauge, "process_resident_memory_bytes", [], "Resident memory")
    static let startTime = Metric(
        .gauge, "process_start_time_seconds", [], "When the process began, in seconds since the Unix epoch")
    static let threads = Metric(.gauge, "process_threads", [], "Threads")

    /// In the order of the documents, by subject.
    package static let all: [(subject: String, metrics: [Metric])] = [
        (
            "Jobs and workers",
            [
                enqueued, dequeued, completed, attempts, jobWait, readyToStart, runTime, polls, leases, expired, jobs,
                pausedJobs, oldestReady, waitingWorkers, tenantTurns, bulkRunning, bulkJobs,
            ]
        ),
        ("Calls", [calls, callSeconds, runningCalls, refusedCalls, refusedConnections, certificateEnd]),
        (
            "Shards",
            [shardsOwned, shardsOpen, shardServing, mailbox, mailboxAge, inHand, inHandBytes, turnAge, flushAge, queues, windowed]
        ),
        ("Batches and flushes", [turns, batchRows, batchBytes, stages, flushedBytes]),
        ("Limits and invariants", [granted, limits, lines, pauses, refreshes, drift, audits, mended, branches]),
        ("The log on local disk", [logSegments, overlayBytes, logRoomUsed, checkpoints, checkpointRows, checkpointSeconds]),
        (
            "Statements",
            [
                queriesRunning, querySeconds, queryRows, queryFailures, queriesRejected, queriesCancelled, queryScannedKeys,
                queryLookups,
            ]
        ),
        ("Logs and traces", [logLines, auditLines, spans, waitingSpans]),
        (
            "The debt of storage",
            [storageBytes, unmergedBytes, deletedBytes, storageCheckpoints, oldestCheckpoint]
        ),
        ("Room for data", [diskSize, diskFree, diskReserved, dataSize, dataMax]),
        ("SlateDB", StorageMetric.all.map(\.metric)),
        (
            "Process",
            [
                build, httpConnections, allocator, cpu, openFiles, maxFiles, virtualMemory, residentMemory, startTime, threads,
            ]
        ),
    ]
}

extension Double {
    fileprivate init(powerOfTen exponent: Int) { self = (0..<exponent).reduce(1.0) { power, _ in power * 10 } }
}

extension HistogramBuckets {
    /// Waits of jobs, and stages of batches, from a disk's write on.
    static let waits = seconds([0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600])
    static let latencies = seconds([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10])
    static let stages = seconds([0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5])
    static let readyMilliseconds = HistogramBuckets(
        [1, 10, 50, 100, 500, 1000, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000])
    /// Milliseconds, ten to a power of ten, up to a day.
    static let fine = HistogramBuckets(
        (0...7).flatMap { power in
            [1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.4, 8].map { ($0 * Double(powerOfTen: power)).rounded() }
        }.reduce(into: []) { bounds, bound in if bound > bounds.last ?? 0, bound <= 86_400_000 { bounds.append(bound) } })
    static let keys = HistogramBuckets([1, 4, 16, 64, 256, 1024, 4096, 16_384])
}
