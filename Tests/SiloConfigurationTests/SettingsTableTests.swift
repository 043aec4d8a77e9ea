import SiloConfiguration
import Testing

/// What holds for every row of the table.
@Suite(.timeLimit(.minutes(10))) struct SettingsTableTests {
    @Test func keysAndOptionsAreUniqueAndEveryKeyIsInItsSection() {
        let keys = Settings.entries.map(\.key)
        #expect(keys.count > 50 && Set(keys).count == keys.count)
        let options = Settings.entries.compactMap { $0.option?.name }
        #expect(Set(options).count == options.count)
        for section in Settings.sections {
            for entry in section.entries { #expect(entry.key.hasPrefix(section.name + "."), "\(entry.key)") }
        }
    }

    @Test func everyRowSaysWhatItDoesAndNoDefaultIsASecret() {
        for entry in Settings.entries {
            #expect(!entry.help.isEmpty && !entry.help.hasSuffix("."), "\(entry.key)")
            #expect(entry.defaultValue != nil || !entry.absent.isEmpty, "\(entry.key)")
            if entry.isSecret { #expect(entry.defaultValue == nil, "\(entry.key)") }
        }
    }

    /// A default that its own form refuses could not be written into a file.
    @Test func everyDefaultIsAValueThatAFileCanHave() throws {
        var standard = Configuration()
        standard.setStandardPlace("/data")
        let file = ConfigurationFile("printed", Array(standard.text.utf8), environment: [:])
        #expect(file.mistakes == [])
        let loaded = try Loading(standard.text).load()
        for entry in Settings.entries { #expect(loaded.value(of: entry) == standard.value(of: entry), "\(entry.key)") }
    }

    /// Every key of upstream's files, each with its default.
    @Test func everyKeyOfUpstreamIsKnown() {
        let known = Set(Settings.entries.map(\.key))
        for key in Upstream.keys { #expect(known.contains(key), "\(key)") }
    }
}

private enum Upstream {
    static let keys = """
        server.grpc_addr server.dev_mode server.statement_timeout_ms server.max_result_bytes server.max_concurrent_statements
        server.slow_query_log_ms server.auth_token coordination.backend coordination.cluster_prefix coordination.lease_ttl_secs
        coordination.initial_shard_count coordination.advertised_grpc_addr coordination.etcd_endpoints coordination.k8s_namespace
        coordination.placement_rings coordination.node_id tenancy.enabled webui.enabled webui.addr metrics.enabled metrics.addr
        logging.format gubernator.address gubernator.coalesce_interval_ms gubernator.max_batch_size gubernator.connect_timeout_ms
        gubernator.request_timeout_ms database.backend database.path database.wal.backend database.wal.path
        database.apply_wal_on_close database.concurrency_reconcile_interval_ms database.counter_reconciliation_seconds
        database.hydrate_all_at_startup database.grant_scanner_batch_size database.grant_scanner_buffer_size
        database.grant_scanner_concurrency database.grant_scanner_cold_batch_size database.concurrency_reconcile_scan_slice
        database.holder_drift_scan_slice database.grant_scanner_next_hop_skip_min_backlog
        database.grant_scanner_live_headroom_fraction database.grant_scanner_commit_chunk_size database.completed_job_expire_s
        database.terminal_job_expire_s database.periodic_full_compaction_s database.count_from_status_counters
        database.memory_cache.block_cache_bytes database.memory_cache.meta_cache_bytes database.slatedb
        """.split(whereSeparator: \.isWhitespace).map(String.init)
}
