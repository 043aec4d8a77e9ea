/// Calls that have few places: elsewhere the clock, the output or the wait is passed in.
struct Banned: Sendable {
    let what: String
    let pattern: String
    /// Files, or folders that end with a slash, each with why.
    let places: [String: String]

    static let all = [
        Banned(
            what: "the system's clock",
            pattern: #"\bDate\(\)|\bDate\.now\b|\bclock_gettime\(|\bgettimeofday\(|\b(Continuous|Suspending)Clock\b"#,
            places: [
                "Sources/SiloCore/Clock.swift": "is the clock that is passed in",
                "Sources/SiloCore/LentThread.swift": "whether the thread is in a hurry is no matter of the shard's time",
                "Sources/SiloClient/Runtime/OwnThread.swift": "is the clock of the client's own thread",
                "Sources/SiloServer/Metrics/ShardMetrics.swift": "measures how long things take",
                "Sources/SiloTelemetry/Audit/AuditLog.swift": "the time of a line is when it was written",
                "Sources/siloctl/TokenCommand.swift": "a token ends some time from now",
                "Sources/SiloTelemetry/LogLine.swift": "the time of a log line is when it was written",
                "Sources/SiloTelemetry/Tracing/SpanClock.swift": "spans are shorter than the milliseconds of the clock",
                "Sources/SlateDB/ClockLag.swift": "asks what SlateDB asks",
                "Sources/GRPC/": "the core's deadlines are by the monotonic clock, which knows nothing of Silo's",
                "Sources/HTTPServer/": "clients have so much real time",
                "Sources/silo-bench/": "measures real time",
                "Sources/silo-simulate/Run.swift": "says how long a run took",
                "examples/checksum/": "says how long it took",
                "Tests/TestSupport/": "has the one wait with a deadline, and the time limit of processes",
                "Tests/Integration/worker/main.swift": "a handler that takes real time",
                "Tests/GRPCTests/": "deadlines of the core pass in real time",
                "Tests/SiloServerTests/GubernatorLimiterTests.swift": "a call's time-out passes in real time",
                "Tests/SiloServerTests/LogTests.swift": "who logs must not wait for who reads",
                "Tests/SiloServerTests/ReflectionTests.swift": "a stream's idle time passes in real time",
                "Tests/SimulationTests/SubstrateTests.swift": "measures how fast simulated time passes",
            ]),
        Banned(
            what: "printing", pattern: #"(^|[^.\w]|Swift\.)print\("#,
            places: [
                "Sources/CommandLineTool/Program.swift": "shows help",
                "Sources/siloctl/Output/Output.swift": "is the program's output",
                "examples/": "show what they do",
                "Tests/SimulationTests/SubstrateTests.swift": "shows how fast simulated time passes",
                "Tests/SiloStoreTests/LogCrashTests.swift": "shows what its seeds went through",
            ]),
        Banned(
            what: "a sleep", pattern: #"\bTask\.sleep\(|\busleep\(|\bThread\.sleep\(|\bnanosleep\(|(^|[^.\w])sleep\("#,
            places: [
                "Sources/SiloCore/Clock.swift": "is the sleep of the clock that is passed in",
                "Sources/SiloCore/Presence.swift": "a pulse, by whose absence the process sees that it was stopped",
                "Sources/SiloTesting/SimulatedClock.swift": "is simulated",
                "Sources/SiloEngine/Shard/LoopAlarm.swift": "sleeps by the clock that is passed in",
                "Sources/HTTPServer/HTTPServer.swift": "looks now and then for clients that take too long",
                "Sources/GRPC/Server.swift": "the core does not say when a connection's last bytes have left",
                "Sources/SlateDB/Skew.swift": "waits for a clock of SlateDB's, which counts in real time",
                "Sources/SiloServer/Service/Reflection.swift": "ends streams that are idle in real time",
                "Sources/siloctl/Cluster/DropTenantCommand.swift": "asks now and then how far a server has come",
                "Sources/silo-bench/": "spreads its load over real time",
                "examples/": "programs of users, who have no other clock",
                "Tests/TestSupport/Eventually.swift": "the one place where a test sleeps",
                "Tests/Integration/worker/main.swift": "a handler that takes real time",
            ]),
    ]
}

/// Files that hold a trap, each with why nothing that comes from outside can reach it.
enum Traps {
    static let places: [String: String] = [
        "Sources/Protobuf/Reader.swift": "the pointer to address 1 is not nil",
        "Sources/GRPC/NativeThread.swift": "a machine without one more thread cannot serve",
    ]
}
