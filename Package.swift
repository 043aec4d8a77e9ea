// swift-tools-version: 6.2
import PackageDescription

/// Where `scripts/setup` puts the native library that no Debian package provides.
let nativeLibraries = "\(Context.packageDirectory)/.deps/lib"

/// Where it puts C sources that are compiled here.
let nativeSources = "\(Context.packageDirectory)/.deps/nanoarrow/include"

/// What `--version` tells. Only whoever builds knows it: this manifest is not read anew for every commit.
let commit = Context.environment["SILO_COMMIT"] ?? "unknown"
let slateDB = "0.17.0"

let swift: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// Generated code is kept as its generator writes it.
let generatedSwift: [SwiftSetting] = [.swiftLanguageMode(.v5)]

func module(_ name: String, _ dependencies: [Target.Dependency] = [], path: String? = nil, exclude: [String] = []) -> Target {
    .target(name: name, dependencies: dependencies, path: path, exclude: exclude, swiftSettings: swift)
}

func program(_ name: String, _ dependencies: [Target.Dependency], path: String? = nil, exclude: [String] = []) -> Target {
    .executableTarget(name: name, dependencies: dependencies, path: path, exclude: exclude, swiftSettings: swift)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: swift)
}

let package = Package(
    name: "silo",
    products: [
        .library(name: "SiloClient", targets: ["SiloClient"]),
        .library(name: "OTLP", targets: ["OTLP"]),
        .executable(name: "silo", targets: ["silo"]),
        .executable(name: "siloctl", targets: ["siloctl"]),
        .executable(name: "silo-bench", targets: ["silo-bench"]),
        .executable(name: "silo-simulate", targets: ["silo-simulate"]),
    ],
    targets: [
        // C libraries: one module map and shim each, no logic.
        .systemLibrary(name: "CXXHash"),
        .systemLibrary(name: "CMsgPack"),
        .systemLibrary(name: "CGRPC"),
        .systemLibrary(name: "CCrypto"),
        .systemLibrary(name: "CPerfTools"),
        .systemLibrary(name: "CMicroHTTPD"),
        .systemLibrary(name: "CZlib"),
        .target(
            name: "CBuildInfo",
            cSettings: [.define("SILO_COMMIT", to: "\"\(commit)\""), .define("SILO_SLATEDB", to: "\"\(slateDB)\"")]
        ),
        .target(
            name: "CSlateDB",
            linkerSettings: [
                .unsafeFlags(["-L\(nativeLibraries)", "-Xlinker", "-rpath", "-Xlinker", nativeLibraries]),
                .linkedLibrary("slatedb_uniffi"),
            ]
        ),

        // Functions of the C library that this program has in its stead, for SlateDB's sake.
        .target(name: "CDurableFiles"),
        // C++ inside, of which nothing is seen.
        .target(name: "CToml"),
        .target(name: "CSQLite", linkerSettings: [.linkedLibrary("sqlite3")]),
        .target(name: "CLineEdit", linkerSettings: [.linkedLibrary("edit")]),
        // Its assertions name their files: not by where this machine has them.
        .target(
            name: "CNanoarrow",
            cSettings: [.unsafeFlags(["-isystem", nativeSources, "-fmacro-prefix-map=\(nativeSources)/="])]),

        // Libraries that know nothing of Silo.
        .target(name: "SlateDBBinding", dependencies: ["CSlateDB"], swiftSettings: generatedSwift),
        module("SlateDB", ["SlateDBBinding", "CSlateDB", "CDurableFiles"]),
        module("GRPC", ["CGRPC", "CCrypto"]),
        module("HTTPServer", ["CMicroHTTPD"]),
        module("Protobuf"),
        module("Arrow", ["CNanoarrow"]),
        // The C++ runtime has the names of C++ functions.
        .target(
            name: "Profiling", dependencies: ["Protobuf"], swiftSettings: swift, linkerSettings: [.linkedLibrary("stdc++")]
        ),

        // Silo, from the inside out.
        module("SiloTelemetry"),
        module("SiloCore", ["SiloTelemetry", "CXXHash"]),
        module("SiloAccess", ["SiloCore", "CCrypto"]),
        module("SiloAPI", ["Protobuf"]),
        module("SQLText", ["SiloAPI", "SiloCore"]),
        module("SiloStore", ["SiloCore", "SlateDB", "Protobuf"]),
        module("SiloEngine", ["SiloCore", "SiloStore", "SiloTelemetry", "Protobuf"]),
        module("SiloQuery", ["SiloCore", "SiloStore", "Protobuf", "Arrow", "CSQLite"]),
        module("SiloService", [
            "SiloAccess", "SiloCore", "SiloStore", "SiloEngine", "SiloQuery", "SiloAPI", "SiloTelemetry", "SlateDB", "Protobuf",
        ]),
        .target(
            name: "SiloWeb", dependencies: ["HTTPServer", "SiloAccess", "SiloAPI", "SiloCore", "SQLText", "Protobuf"],
            resources: [.embedInCode("Assets")], swiftSettings: swift
        ),
        module("SiloServer", [
            "SiloService", "SiloWeb", "SiloAccess", "SiloCore", "SiloStore", "SiloEngine", "SiloAPI", "SiloTelemetry", "SlateDB",
            "GRPC", "HTTPServer", "Protobuf",
        ]),
        module("SiloClient", ["SiloCore", "SiloAPI", "SiloTelemetry", "GRPC", "Protobuf", "CMsgPack"]),
        module("OTLP", ["SiloTelemetry", "SiloCore", "GRPC", "Protobuf"]),
        module("SiloTesting", ["SiloCore", "SiloStore", "SlateDB", "Protobuf", "TestSupport"]),
        module("SiloSimulation", [
            "SiloTesting", "SiloServer", "SiloClient", "SiloEngine", "SiloStore", "SiloAPI", "SiloCore", "SiloTelemetry", "GRPC",
            "Protobuf",
        ]),
        module("CommandLineTool", ["SiloCore"]),
        module("SiloConfiguration", ["SiloAccess", "SiloCore", "SiloTelemetry", "GRPC", "CommandLineTool", "CToml"]),

        // Programs.
        program("silo", [
            "SiloServer", "SiloService", "SiloAPI", "SiloCore", "SiloEngine", "SiloTelemetry", "SiloConfiguration", "OTLP",
            "SlateDB", "GRPC", "CommandLineTool", "Profiling", "CPerfTools", "CBuildInfo",
        ]),
        program("siloctl", [
            "SiloClient", "SiloAccess", "SiloAPI", "SiloCore", "SiloConfiguration", "SQLText", "GRPC", "Protobuf",
            "CommandLineTool", "CBuildInfo", "CZlib", "CLineEdit",
        ]),
        program("silo-bench", [
            "SiloClient", "SiloAPI", "SiloEngine", "SiloStore", "SiloCore", "SlateDB", "GRPC", "Protobuf", "CommandLineTool",
            "CPerfTools",
        ]),
        program("silo-simulate", ["SiloSimulation", "SiloEngine", "SiloTesting", "SiloCore", "CommandLineTool"]),
        program("checksum", ["SiloClient", "CommandLineTool", "CCrypto"], path: "examples/checksum", exclude: ["README.md"]),
        program("limits", ["SiloClient", "CommandLineTool"], path: "examples/limits"),
        program("mail-worker", ["SiloClient", "CommandLineTool"], path: "examples/mail"),

        // Tests in Swift. Those that drive the built programs from outside are in Tests/Integration, in Python.
        // What tests wait with, and other programs that they start; it knows nothing of Silo, and is in no program of ours but
        // the simulator.
        .systemLibrary(name: "CProcess", path: "Tests/CProcess"),
        .target(name: "CThreads", path: "Tests/CThreads"),
        module("TestSupport", ["CProcess", "CThreads"], path: "Tests/TestSupport"),
        tests("SlateDBTests", ["SlateDB", "TestSupport"]),
        tests("GRPCTests", ["GRPC", "TestSupport"], exclude: ["peers"]),
        tests("HTTPServerTests", ["HTTPServer", "TestSupport"]),
        tests("ProtobufTests", ["Protobuf", "SiloAPI", "TestSupport"], exclude: ["roundtrip.py"]),
        program("protobuf-conformance", ["Protobuf"], path: "Tests/Conformance/protobuf"),
        program("silo-test-worker", ["SiloClient", "SiloTelemetry", "OTLP", "CommandLineTool"], path: "Tests/Integration/worker"),
        tests("StoreContractTests", ["SiloStore", "SiloCore", "SiloTesting", "SlateDB"]),
        tests("SiloStoreTests", ["SiloStore", "SiloCore", "SiloTesting", "SlateDB", "TestSupport"]),
        tests("SiloEngineTests", ["SiloEngine", "SiloStore", "SiloCore", "SiloTesting", "SlateDB", "Protobuf", "TestSupport"]),
        tests("SiloQueryTests", [
            "SiloQuery", "SiloEngine", "SiloStore", "SiloWeb", "SQLText", "SlateDB", "SiloCore", "SiloTesting", "TestSupport",
            "Protobuf",
        ]),
        tests("SimulationTests", [
            "SiloSimulation", "SiloClient", "SiloServer", "SiloEngine", "SiloStore", "SiloCore", "SiloTesting",
            "SiloAPI", "GRPC", "Protobuf",
        ]),
        tests("TracingTests", ["SiloTelemetry", "OTLP", "GRPC", "Protobuf"]),
        tests("SiloConfigurationTests", ["SiloConfiguration", "SiloCore", "SlateDB", "CommandLineTool", "TestSupport"]),
        tests("ProfilingTests", ["Profiling"]),
        tests("SiloTelemetryTests", ["SiloTelemetry", "TestSupport"]),
        tests("SiloServiceTests", [
            "SiloService", "SiloAccess", "SiloEngine", "SiloQuery", "SiloStore", "SiloAPI", "SiloTelemetry", "SiloCore",
            "SiloTesting", "TestSupport",
        ]),
        tests("SiloAccessTests", ["SiloAccess", "SiloCore"]),
        tests("SiloServerTests", [
            "SiloServer", "SiloService", "SiloWeb", "SiloAccess", "SiloEngine", "SiloStore", "SiloAPI", "SiloTelemetry",
            "SiloCore", "SiloTesting", "SlateDB", "GRPC", "HTTPServer", "Protobuf", "TestSupport",
        ]),
        tests("SiloWebTests", [
            "SiloWeb", "SiloAPI", "SiloAccess", "SiloCore", "SiloTesting", "SQLText", "HTTPServer", "Protobuf", "TestSupport",
        ]),
        tests("SiloClientTests", [
            "SiloClient", "SiloServer", "SiloEngine", "SiloTelemetry", "SiloTesting", "SiloAPI", "SiloCore", "GRPC", "Protobuf",
            "TestSupport",
        ]),
        tests("TidyTests", ["TestSupport"], exclude: ["public-types.txt"]),
    ],
    cxxLanguageStandard: .cxx17
)
