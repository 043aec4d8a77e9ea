/// The settings of the storage engine that this was built with, by their dotted names, and what each takes: here, so that a file
/// is checked without the library. A test compares them with what the library says.
package enum SlateDBSettings {
    package static let forms: [String: SettingForm] = {
        var forms: [String: SettingForm] = [:]
        func add(_ form: SettingForm, _ names: String) {
            for name in names.split(whereSeparator: \.isWhitespace) { forms[String(name)] = form }
        }
        add(.checked(wanted: "a duration, such as \"100ms\" or \"1h 30m\"", isRight: isDuration), durations)
        add(.flag, flags)
        add(.number(0...Int.max), numbers)
        add(.number(0...Int(UInt32.max)), smallNumbers)
        add(.number(1...Int.max), "l0_flush_parallelism")
        add(.number(4096...Int.max), "max_wal_flushes_before_l0_flush")
        add(.text, "object_store_cache_options.root_folder")
        add(.word(["DEBUG", "Debug", "debug", "INFO", "Info", "info"]), levels)
        add(.word(["Snappy", "Zlib", "Lz4", "Zstd"]), "compression_codec compactor_options.worker.compression_codec")
        add(.word(["L0Sst", "AllSst"]), "object_store_cache_options.preload_disk_cache_on_startup")
        // The library takes any text here, and what is no number for its default.
        add(.checked(wanted: "a whole number in quotes, such as \"4\"") { UInt32($0) != nil }, schedulerNumbers)
        add(.checked(wanted: "a number in quotes, such as \"4.0\"") { Float($0)?.isFinite ?? false },
            "compactor_options.scheduler_options.include_size_threshold")
        return forms
    }()

    private static let durations = """
        compactor_options.checkpoint_lifetime compactor_options.commit_compacted_interval
        compactor_options.manifest_update_timeout compactor_options.poll_interval
        compactor_options.worker.compactions_poll_interval compactor_options.worker.heartbeat_interval
        compactor_options.worker_heartbeat_timeout flush_interval garbage_collector_options.compacted_options.interval
        garbage_collector_options.compacted_options.min_age garbage_collector_options.compactions_options.interval
        garbage_collector_options.compactions_options.min_age garbage_collector_options.detach_options.interval
        garbage_collector_options.manifest_options.interval garbage_collector_options.manifest_options.min_age
        garbage_collector_options.wal_fence_options.interval garbage_collector_options.wal_fence_options.min_age
        garbage_collector_options.wal_options.interval garbage_collector_options.wal_options.min_age
        manifest_poll_interval manifest_update_timeout object_store_cache_options.scan_interval
        """

    private static let flags = """
        compactor_options.enable_trivial_move garbage_collector_options.boundary_files_enabled
        garbage_collector_options.compacted_options.dry_run garbage_collector_options.compactions_options.dry_run
        garbage_collector_options.manifest_options.dry_run garbage_collector_options.wal_fence_options.dry_run
        garbage_collector_options.wal_options.dry_run object_store_cache_options.cache_on_compaction
        object_store_cache_options.cache_on_flush wal_enabled
        """

    private static let numbers = """
        compactor_options.max_concurrent_compactions compactor_options.worker.bytes_to_fetch
        compactor_options.worker.max_concurrent_compactions compactor_options.worker.max_fetch_tasks
        compactor_options.worker.max_sst_size compactor_options.worker.max_subcompactions default_ttl_millis
        l0_max_ssts l0_max_ssts_per_key l0_sst_size_bytes max_unflushed_bytes
        object_store_cache_options.max_cache_size_bytes object_store_cache_options.max_open_file_handles
        object_store_cache_options.part_size_bytes
        """

    private static let smallNumbers = """
        compactor_options.object_store_max_retries compactor_options.worker.min_filter_keys
        garbage_collector_options.object_store_max_retries min_filter_keys object_store_max_retries
        """

    private static let levels = """
        compactor_options.metric_level compactor_options.worker.metric_level garbage_collector_options.metric_level metric_level
        """

    private static let schedulerNumbers = """
        compactor_options.scheduler_options.max_compaction_sources compactor_options.scheduler_options.min_compaction_sources
        compactor_options.scheduler_options.sorted_run_consolidation_threshold
        """

    /// Numbers with units, added or multiplied, as the library reads them: `"1h 30m"`, `"1h+30m"`, `"1m*10"`. A bare number is in
    /// seconds.
    static func isDuration(_ text: String) -> Bool {
        var rest = text.drop(while: \.isWhitespace)
        var operators: Set<Character> = []
        while true {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            let unit = rest[digits.endIndex...].prefix(while: \.isLetter)
            guard let number = UInt64(digits), let factor = unit.isEmpty ? 1_000_000_000 : nanoseconds(unit.lowercased()),
                !number.multipliedReportingOverflow(by: factor).overflow
            else { return false }
            rest = rest[unit.endIndex...].drop(while: \.isWhitespace)
            guard let next = rest.first else { return operators.count < 2 }
            if next == "+" || next == "*" {
                operators.insert(next)
                rest = rest.dropFirst().drop(while: \.isWhitespace)
            } else if unit.isEmpty {
                return false
            } else {
                operators.insert("+")
            }
        }
    }

    private static func nanoseconds(_ unit: String) -> UInt64? {
        units.first { $0.names.contains(unit) }?.nanoseconds
    }

    private static let units: [(names: [String], nanoseconds: UInt64)] = {
        let second: UInt64 = 1_000_000_000
        let day = 86_400 * second
        return [
            (["ns", "nsec", "nanosecond"], 1), (["us", "µs", "usec", "µsec", "microsecond"], 1000),
            (["ms", "msec", "millisecond"], 1_000_000), (["s", "sec", "second"], second), (["m", "min", "minute"], 60 * second),
            (["h", "hr", "hour"], 3600 * second), (["d", "day"], day), (["w", "week"], 7 * day), (["mon", "month"], 30 * day),
            (["y", "year"], 365 * day),
        ]
    }()
}
