// swift-tools-version: 6.2
import PackageDescription

/// Where `scripts/setup` puts the native library that no Debian package provides.
let nativeLibraries = "\(Context.packageDirectory)/.deps/lib"

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
        .systemLibrary(name: "CMalloc"),
        .target(
            name: "CSlateDB",
            linkerSettings: [
                .unsafeFlags(["-L\(nativeLibraries)", "-Xlinker", "-rpath", "-Xlinker", nativeLibraries]),
                .linkedLibrary("slatedb_uniffi"),
            ]
        ),

        // Libraries that know nothing of Silo.
        .target(name: "SlateDBBinding", dependencies: ["CSlateDB"], swiftSettings: generatedSwift),
        module("SlateDB", ["SlateDBBinding", "CSlateDB"]),
        module("GRPC", ["CGRPC", "CCrypto"]),
        module("Protobuf"),

        // Silo, from the inside out.
        module("SiloCore", ["CXXHash"]),
        module("SiloAPI", ["Protobuf"]),
        module("SiloStore", ["SiloCore", "SlateDB", "Protobuf"]),
        module("SiloEngine", ["SiloCore", "SiloStore", "Protobuf"]),
        module("SiloTelemetry"),
        module("SiloService", ["SiloCore", "SiloStore", "SiloEngine", "SiloAPI", "SiloTelemetry", "SlateDB", "Protobuf"]),
        module("SiloServer", [
            "SiloService", "SiloCore", "SiloStore", "SiloEngine", "SiloAPI", "SiloTelemetry", "SlateDB", "GRPC", "Protobuf",
        ]),
        module("SiloClient", ["SiloCore", "SiloAPI", "GRPC", "Protobuf", "CMsgPack"]),
        module("SiloTesting", ["SiloCore", "SiloStore", "SlateDB", "Protobuf", "TestSupport"]),
        module("SiloSimulation", [
            "SiloTesting", "SiloServer", "SiloClient", "SiloEngine", "SiloStore", "SiloAPI", "SiloCore", "SiloTelemetry", "GRPC",
            "Protobuf",
        ]),
        module("CommandLineTool", []),

        // Programs.
        program("silo", ["SiloServer", "SiloEngine", "SiloTelemetry", "SlateDB", "GRPC", "CommandLineTool", "CMalloc"]),
        program("siloctl", ["SiloClient", "SiloAPI", "SiloCore", "GRPC", "Protobuf", "CommandLineTool"]),
        program("silo-bench", [
            "SiloClient", "SiloAPI", "SiloEngine", "SiloStore", "SiloCore", "SlateDB", "GRPC", "Protobuf", "CommandLineTool",
        ]),
        program("silo-simulate", ["SiloSimulation", "SiloEngine", "SiloTesting", "SiloCore", "CommandLineTool"]),
        program("checksum", ["SiloClient", "CommandLineTool", "CCrypto"], path: "examples/checksum", exclude: ["README.md"]),
        program("limits", ["SiloClient", "CommandLineTool"], path: "examples/limits"),

        // Tests in Swift. Those that drive the built programs from outside are in Tests/Integration, in Python.
        // What tests wait with, and other programs that they start; it knows nothing of Silo, and is in no program of ours but
        // the simulator.
        .systemLibrary(name: "CProcess", path: "Tests/CProcess"),
        .target(name: "CThreads", path: "Tests/CThreads"),
        module("TestSupport", ["CProcess", "CThreads"], path: "Tests/TestSupport"),
        tests("SlateDBTests", ["SlateDB", "TestSupport"]),
        tests("GRPCTests", ["GRPC", "TestSupport"], exclude: ["peers"]),
        tests("ProtobufTests", ["Protobuf", "SiloAPI", "TestSupport"], exclude: ["roundtrip.py"]),
        program("protobuf-conformance", ["Protobuf"], path: "Tests/Conformance/protobuf"),
        program("silo-test-worker", ["SiloClient", "CommandLineTool"], path: "Tests/Integration/worker"),
        tests("StoreContractTests", ["SiloStore", "SiloCore", "SiloTesting", "SlateDB"]),
        tests("SiloStoreTests", ["SiloStore", "SiloCore", "SiloTesting", "SlateDB", "TestSupport"]),
        tests("SiloEngineTests", ["SiloEngine", "SiloStore", "SiloCore", "SiloTesting", "SlateDB", "Protobuf", "TestSupport"]),
        tests("SimulationTests", [
            "SiloSimulation", "SiloClient", "SiloServer", "SiloEngine", "SiloStore", "SiloCore", "SiloTesting",
            "SiloAPI", "GRPC", "Protobuf",
        ]),
        tests("SiloServiceTests", [
            "SiloService", "SiloEngine", "SiloStore", "SiloAPI", "SiloTelemetry", "SiloCore", "SiloTesting",
        ]),
        tests("SiloServerTests", [
            "SiloServer", "SiloService", "SiloEngine", "SiloStore", "SiloAPI", "SiloTelemetry", "SiloCore", "SiloTesting",
            "SlateDB", "GRPC", "Protobuf", "TestSupport",
        ]),
        tests("SiloClientTests", [
            "SiloClient", "SiloServer", "SiloEngine", "SiloTelemetry", "SiloTesting", "SiloAPI", "SiloCore", "GRPC", "Protobuf",
            "TestSupport",
        ]),
        tests("TidyTests", ["TestSupport"], exclude: ["public-types.txt"]),
    ]
)
