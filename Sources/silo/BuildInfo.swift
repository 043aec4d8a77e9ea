import CBuildInfo
import GRPC

/// What this program was built from, for `--version` and `/version`.
enum BuildInfo {
    static let parts = [
        (name: "commit", version: String(cString: silo_build_commit())),
        (name: "SlateDB", version: String(cString: silo_build_slatedb())),
        (name: "gRPC core", version: CoreVersion.text),
    ]

    static var lines: [String] { parts.map { "\($0.name) \($0.version)" } }
}
