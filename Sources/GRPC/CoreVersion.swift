import CGRPC

/// The version of the C core that this program found when it started, as `1.51.1`.
public enum CoreVersion {
    public static var text: String { String(cString: grpc_version_string()) }
}
