import SiloConfiguration
import Testing

/// What a file means, and what is told of one that is wrong.
@Suite(.timeLimit(.minutes(10))) struct ConfigurationFileTests {
    private static let data = "[database]\nbackend = \"memory\"\n"

    @Test(arguments: [
        ("\"5s\"", 5000), ("\"1m30s\"", 90_000), ("\"250ms\"", 250), ("\"1h\"", 3_600_000), ("\"0s\"", 0),
    ])
    func durationsHaveUnits(text: String, milliseconds: Int) throws {
        let configuration = try Loading("[server]\ndrain_timeout = \(text)\n" + Self.data).load()
        #expect(configuration[Settings.server.drainTimeout] == .milliseconds(milliseconds))
    }

    @Test(arguments: [
        "5", "\"5\"", "\"5 s\"", "\"-5s\"", "\"5x\"", "\"2h\"", "\"9223372036854775807s\"", "\"s\"", "true", "[]", "1.5",
    ])
    func whatIsNoDurationOrOutOfBoundsIsRefused(text: String) throws {
        let mistakes = try Loading.mistakes("[server]\ndrain_timeout = \(text)\n" + Self.data)
        #expect(mistakes.count == 1)
        #expect(mistakes.first?.hasPrefix("2:17: server.drain_timeout must be a duration from 0s to 1h, such as") == true)
    }

    @Test(arguments: [
        ("\"64MiB\"", 64 << 20), ("\"1GB\"", 1_000_000_000), ("\"2048KiB\"", 2 << 20), ("\"1GiB512MiB\"", 1536 << 20),
    ])
    func sizesHaveUnits(text: String, bytes: Int) throws {
        #expect(try Loading(Self.data + "cache_size = \(text)").load()[Settings.database.cacheBytes] == bytes)
    }

    @Test func aKeyThatNamesItsUnitTakesABareNumber() throws {
        let text = "[gubernator]\ncoalesce_interval_ms = 7\nconnect_timeout_ms = \"2s\"\n" + Self.data
        let configuration = try Loading(text).load()
        #expect(configuration[Settings.gubernator.coalesce] == .milliseconds(7))
        #expect(configuration[Settings.gubernator.connectTimeout] == .seconds(2))
    }

    @Test(arguments: [
        ("fs", "/var/lib/silo", "/var/lib/silo"), ("fs", "/var/lib/silo/%shard%", "/var/lib/silo"),
        ("fs", "/var/lib/silo/{shard}", "/var/lib/silo"), ("fs", "s3:odd", "./s3:odd"), ("s3", "bucket/jobs", "s3://bucket/jobs"),
        ("s3", "s3://bucket/jobs/%shard%", "s3://bucket/jobs"), ("gcs", "bucket", "gs://bucket"),
        ("url", "az://container/x", "az://container/x"), ("memory", "x", "memory:"),
    ])
    func theBackendAndThePathNameThePlace(backend: String, path: String, place: String) throws {
        let text = "[database]\nbackend = \"\(backend)\"\npath = \"\(path)\""
        #expect(try Loading(text).load().dataPlace == place)
    }

    @Test(arguments: [
        ("", "1:1: missing field `database`"), ("[database]\nbackend = \"fs\"", "2:11: missing field `path`"),
        ("[database]\npath = \"/x\"", "2:8: missing field `backend`"),
        ("[database]\nbackend = \"fs\"\npath = \"/x%shard%\"", "3:8: database.path must end with /%shard%"),
        ("[database]\nbackend = \"url\"\npath = \"http://x/y\"", "3:8: database.path must begin with s3://, gs:// or az://"),
        (data + "[database.wal]\nbackend = \"fs\"", "4:11: missing field `path`"),
        (data + "[coordination]\nbackend = \"etcd\"", "4:11: coordination.backend must be none, not etcd: there are no"),
        (data + "[coordination]\nadvertised_grpc_addr = \"a:00\"", "4:24: coordination.advertised_grpc_addr must be host:port"),
        (data + "[tls]\ncert_file = \"x\"", "4:13: tls.key_file is missing"),
        (data + "[tls]\nclient_ca_file = \"x\"", "4:18: tls.client_ca_file needs tls.cert_file"),
        (
            data + "[server]\nauth_token = \"a\"\nauth_token_file = \"b\"",
            "4:14: server.auth_token and server.auth_token_file exclude"
        ),
    ])
    func whatMakesNoSenseTogetherIsTold(text: String, mistake: String) throws {
        let mistakes = try Loading.mistakes(text)
        #expect(mistakes.count == 1 && mistakes.first?.hasPrefix(mistake) == true, "\(mistakes)")
    }

    @Test(arguments: [
        "", "\n", "# nothing\n\n", "[server]\nauth_token = \"a\"", "[database]", "[database]\ncache_size = \"8MiB\"",
    ])
    func aFileThatDoesNotSayWhereTheDataIsIsToldWhatToWrite(text: String) throws {
        let mistake = try #require(try Loading.mistakes(text).first)
        #expect(mistake.hasPrefix("1:1: missing field `database`: ") && mistake.contains("--data FOLDER"))
        let lines = ["[database]", "backend = \"fs\"", "path = \"/var/lib/silo\""]
        #expect(mistake.contains(lines.joined(separator: ", ")))
        #expect(try Loading(lines.joined(separator: "\n")).load().dataPlace == "/var/lib/silo")
    }

    @Test(arguments: [
        ("[server]\ngrpc_adr = \"a:1\"", "there is no key server.grpc_adr; did you mean server.grpc_addr?"),
        ("[sever]\nx = 1", "there is no section [sever]; did you mean server?"),
        ("[server]\naddr = 1", "there is no key server.addr; did you mean metrics.addr?"),
        (
            "[coordination]\nnum_shards = 4",
            "there is no key coordination.num_shards; did you mean coordination.initial_shard_count?"
        ),
        (
            data + "slatedb.flush_intervall = \"1s\"",
            "there is no key database.slatedb.flush_intervall; did you mean database.slatedb.flush_interval?"
        ),
        (
            data + "[database.slatedb.compactor_options]\npol_interval = \"1s\"",
            "did you mean database.slatedb.compactor_options.poll_interval?"
        ),
        ("[tenancy]\nzzzzzzzz = 1", "there is no key tenancy.zzzzzzzz; [tenancy] has enabled"),
        ("server = 1", "server is a section: write [server], and its keys below"),
    ])
    func anUnknownNameIsToldWithTheNearestKnownOne(text: String, mistake: String) throws {
        let mistakes = try Loading.mistakes(text.contains(Self.data) ? text : text + "\n" + Self.data)
        #expect(mistakes.count == 1 && mistakes.first?.hasSuffix(mistake) == true, "\(mistakes)")
    }

    @Test func anUnknownNameOfTheStorageEngineIsToldWithThoseThatThereAre() throws {
        let section = "[database.slatedb.garbage_collector_options]"
        #expect(try Loading.mistakes(Self.data + "\(section)\nzzzzzzzz = 1").first?.hasSuffix("""
            zzzzzzzz; \(section) has boundary_files_enabled, compacted_options, compactions_options, detach_options, \
            manifest_options, metric_level, object_store_max_retries, wal_fence_options, wal_options
            """) == true)
        let deeper = try Loading.mistakes(Self.data + "[database.slatedb.zzzzzzzz.interval]\nyyy = 1")
        #expect(deeper.count == 1)
        #expect(deeper[0].contains("slatedb.zzzzzzzz.interval.yyy; [database.slatedb] has compactor_options, "))
        #expect(deeper[0].hasSuffix(", object_store_cache_options, object_store_max_retries, wal_enabled"))
        for name in ["z", "zzzzzzzz"] {
            let belowOne = try Loading.mistakes(Self.data + "[database.slatedb.wal_enabled]\n\(name) = 1")
            #expect(belowOne.last?.hasSuffix("wal_enabled.\(name); did you mean database.slatedb.wal_enabled?") == true)
        }
    }

    @Test func aVariableThatIsNotSetIsNamedAlsoForASecret() throws {
        let text = Self.data + "[server]\nauth_token = \"${SILO_TOKEN}\""
        #expect(
            try Loading.mistakes(text)
                == ["4:14: server.auth_token must be a text in quotes that is not empty; not set: SILO_TOKEN"]
        )
        #expect(try Loading.mistakes(text, environment: ["SILO_TOKEN": ""]).first?.contains("SILO_TOKEN") == false)
    }

    @Test func everyMistakeIsToldAtOnceInOrder() throws {
        let text = """
            [server]
            grpc_addr = "nonsense"
            port = ${PORT}
            grpc_addr = "127.0.0.1:1"
            dev_mode = "yes"

            [databse]
            path = "x"

            [logging]
            filter = "loud"

            [tls]
            key_file = "x"
            """
        let mistakes = try Loading.mistakes(text)
        #expect(mistakes.map { $0.prefix { $0 != ":" } } == ["2", "3", "4", "5", "7", "11", "14"].map { $0[...] }, "\(mistakes)")
    }

    @Test(arguments: [
        // Each is told where it stands, and brings no other one along.
        ("[server]\ngrpc_addr = \"127.0.0.1:1\n" + data, ["2:13: this string does not end in its line"]),
        ("[server]\nnode = 'x\n[database]\nbackend = \"fs\"\npath = \"x", [
            "2:8: this string does not end in its line", "5:8: this string does not end in its line",
        ]),
        (data + "[server]\nauth_token = \"\"\"x\n[nonsense]\ny = 1", ["4:14: this string does not end"]),
        (data + "[server]\nauth_token = \"\"\"x\n'\"\\\"\n\"\"\"\nauth_tokn = 1 # \"", [
            "7:",
        ]),
        (data + "[tenancy\nenabled = true\n[server]\ndev_mode = true", ["3:1"]),
        (data + "cache_size = 99999999999999999999", ["3:14: database.cache_size must be", "not 99999999999999999999"]),
    ])
    func whatCannotBeReadIsToldInItsPlace(text: String, parts: [String]) throws {
        let mistakes = try Loading.mistakes(text)
        if let last = parts.last, parts.count == 2, last.hasPrefix("not") {
            #expect(mistakes.count == 1 && mistakes[0].hasPrefix(parts[0]) && mistakes[0].hasSuffix(last), "\(mistakes)")
        } else {
            #expect(mistakes.count == parts.count && zip(mistakes, parts).allSatisfy { $0.hasPrefix($1) }, "\(mistakes)")
        }
    }

    /// What is missing may stand in a line that is wrong: only of the same section, whatever words other lines have.
    @Test func aMistakeHidesNoneOfAnotherSection() throws {
        let text = Self.data + "[tls]\ncert_file = \"x\"\n[logging]\nfilter = \"tls\"\ntls_key = 1"
        let mistakes = try Loading.mistakes(text)
        #expect(mistakes.map { $0.prefix { $0 != ":" } } == ["4", "6", "7"], "\(mistakes)")
        let both = try Loading.mistakes(Self.data + "[tls]\ncert_file = \"x\"\nkye_file = \"y\"")
        #expect(both.count == 1 && both[0].hasPrefix("5:"), "\(both)")
    }

    @Test func noSecretIsEverShown() throws {
        let bad = """
            [server]
            auth_token = ["hushhush"]
            auth_tokn = "hushhush"
            auth_token_file = "${HIDDEN}
            [logging]
            filter = "${HIDDEN}"
            """
        let mistakes = try Loading.mistakes(bad, environment: ["HIDDEN": "hushhush"])
        #expect(mistakes.count >= 4 && !mistakes.joined().contains("hushhush"), "\(mistakes)")
        let good = try Loading(Self.data + "[server]\nauth_token = \"${HIDDEN}\"", environment: ["HIDDEN": "hushhush"]).load()
        #expect(good[Settings.server.authToken] == "hushhush")
        #expect(good.text.contains("# auth_token: set, not shown") && !good.text.contains("hushhush"))
    }

    @Test func settingsOfTheStorageEngineComeByDottedNamesAndInJSON() throws {
        let text = """
            [database]
            backend = "memory"
            slatedb.flush_interval = "${GAP:-100ms}"
            slatedb.l0_max_ssts = 8
            slatedb.l0_flush_parallelism = "${LANES:-2}"
            [database.slatedb.compactor_options]
            max_concurrent_compactions = 2
            [database.slatedb.object_store_cache_options]
            cache_on_flush = true
            """
        #expect(
            try Loading(text).load()[Settings.database.slatedb] == [
                "flush_interval": "\"100ms\"", "l0_max_ssts": "8", "l0_flush_parallelism": "2",
                "compactor_options.max_concurrent_compactions": "2",
                "object_store_cache_options.cache_on_flush": "true",
            ])
    }

    @Test(arguments: [
        ("flush_interval = 5", "must be a duration, such as \"100ms\" or \"1h 30m\", not 5"),
        ("flush_interval = \"5 s\"", "must be a duration, such as \"100ms\" or \"1h 30m\", not \"5 s\""),
        ("l0_flush_parallelism = 0", "must be a whole number of 1 or more, not 0"),
        ("min_filter_keys = 4294967296", "must be a whole number from 0 to 4294967295, not 4294967296"),
        ("compression_codec = \"lz4\"", "must be Snappy, Zlib, Lz4 or Zstd, not \"lz4\""),
        ("wal_enabled = \"yes\"", "must be true or false, not \"yes\""),
        ("l0_max_ssts = \"${SILO_NONE}\"", "must be a whole number of 0 or more, not \"${SILO_NONE}\"; not set: SILO_NONE"),
        (
            "compactor_options.scheduler_options.min_compaction_sources = 4",
            "must be a whole number in quotes, such as \"4\", not 4"
        ),
        ("default_ttl_millis = [1]", "must be a whole number of 0 or more, not an array"),
    ])
    func aValueThatTheStorageEngineDoesNotTakeIsAMistake(line: String, mistake: String) throws {
        let name = line.prefix { $0 != " " }
        let mistakes = try Loading.mistakes("[database]\nbackend = \"memory\"\nslatedb.\(line)\n")
        #expect(mistakes == ["3:\(mistakes.first?.split(separator: ":")[1] ?? ""): database.slatedb.\(name) \(mistake)"])
    }

    @Test func aTextWithAReferenceIsANumberWhereOneIsWanted() throws {
        let text = Self.data + "[coordination]\ninitial_shard_count = \"${N}\"\n[tenancy]\nenabled = \"${T:-true}\""
        let configuration = try Loading(text, environment: ["N": "16"]).load()
        #expect(configuration[Settings.coordination.shardCount] == 16 && configuration[Settings.tenancy.isEnabled])
        let mistakes = try Loading.mistakes(text)
        #expect(
            mistakes == ["4:23: coordination.initial_shard_count must be a whole number from 1 to 1024, not \"${N}\"; not set: N"]
        )
    }

    @Test func aFileThatIsNoConfigurationIsRefusedQuickly() throws {
        let texts = [
            String(repeating: "[", count: 60_000), "a=" + String(repeating: "[", count: 199), "a = \"\u{0}\"",
            "a" + String(repeating: ".a", count: 30_000) + " = 1", "a" + String(repeating: ".a", count: 199) + " = 1",
            "a = {" + String(repeating: "b={", count: 199),
            String(repeating: "\"\"\"\n", count: 10_000), String(repeating: "x", count: 1 << 20),
        ]
        for text in texts { #expect(try !Loading.mistakes(text).isEmpty) }
        let many = try Loading.mistakes((0..<4000).map { "k\($0) = 1" }.joined(separator: "\n"))
        #expect(many.count <= 103 && many.contains { $0.hasSuffix("there are more mistakes") })
    }
}
