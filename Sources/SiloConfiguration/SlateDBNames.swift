/// The settings of the storage engine that this was built with, by their dotted names: here, so that a file is checked without
/// the library. A test compares them with what the library says.
package enum SlateDBNames {
    package static let all = Set(text.split(whereSeparator: \.isWhitespace).map(String.init))

    private static let text = """
        compactor_options.checkpoint_lifetime compactor_options.commit_compacted_interval compactor_options.enable_trivial_move
        compactor_options.manifest_update_timeout compactor_options.max_concurrent_compactions compactor_options.metric_level
        compactor_options.object_store_max_retries compactor_options.poll_interval
        compactor_options.scheduler_options.include_size_threshold compactor_options.scheduler_options.max_compaction_sources
        compactor_options.scheduler_options.min_compaction_sources
        compactor_options.scheduler_options.sorted_run_consolidation_threshold compactor_options.worker.bytes_to_fetch
        compactor_options.worker.compactions_poll_interval compactor_options.worker.compression_codec
        compactor_options.worker.heartbeat_interval compactor_options.worker.max_concurrent_compactions
        compactor_options.worker.max_fetch_tasks compactor_options.worker.max_sst_size
        compactor_options.worker.max_subcompactions compactor_options.worker.metric_level
        compactor_options.worker.min_filter_keys compactor_options.worker_heartbeat_timeout compression_codec default_ttl_millis
        flush_interval garbage_collector_options.boundary_files_enabled garbage_collector_options.compacted_options.dry_run
        garbage_collector_options.compacted_options.interval garbage_collector_options.compacted_options.min_age
        garbage_collector_options.compactions_options.dry_run garbage_collector_options.compactions_options.interval
        garbage_collector_options.compactions_options.min_age garbage_collector_options.detach_options.interval
        garbage_collector_options.manifest_options.dry_run garbage_collector_options.manifest_options.interval
        garbage_collector_options.manifest_options.min_age garbage_collector_options.metric_level
        garbage_collector_options.object_store_max_retries garbage_collector_options.wal_fence_options.dry_run
        garbage_collector_options.wal_fence_options.interval garbage_collector_options.wal_fence_options.min_age
        garbage_collector_options.wal_options.dry_run garbage_collector_options.wal_options.interval
        garbage_collector_options.wal_options.min_age l0_flush_parallelism l0_max_ssts l0_max_ssts_per_key l0_sst_size_bytes
        manifest_poll_interval manifest_update_timeout max_unflushed_bytes max_wal_flushes_before_l0_flush metric_level
        min_filter_keys object_store_cache_options.cache_on_compaction object_store_cache_options.cache_on_flush
        object_store_cache_options.max_cache_size_bytes object_store_cache_options.max_open_file_handles
        object_store_cache_options.part_size_bytes object_store_cache_options.preload_disk_cache_on_startup
        object_store_cache_options.root_folder object_store_cache_options.scan_interval object_store_max_retries wal_enabled
        """
}
