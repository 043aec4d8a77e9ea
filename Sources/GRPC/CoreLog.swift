import CGRPC
import Synchronization

/// What the C core has to say for itself, such as failed TLS handshakes. Peers can make it say much, and choose the words.
public enum CoreLog {
    public enum Severity: Sendable {
        case debug
        case info
        case error
    }

    public struct Line: Sendable {
        public let severity: Severity
        public let text: String
        /// The place in the core's source, such as `tcp_server_posix.cc:214`: the same for all lines of one kind.
        public let place: String
    }

    public typealias Handler = @Sendable (Line) -> Void

    private static let handler = Mutex<Handler?>(nil)

    /// Hands every line to `handler`, on whichever thread it comes from; until then they go to standard error. The
    /// environment variable `GRPC_VERBOSITY` chooses which there are; only errors by default.
    public static func setHandler(_ handler: @escaping Handler) {
        Self.handler.withLock { $0 = handler }
        gpr_set_log_function { line in
            guard let line = line?.pointee, let text = line.message else { return }
            let severity: Severity = switch line.severity {
            case GPR_LOG_SEVERITY_DEBUG: .debug
            case GPR_LOG_SEVERITY_INFO: .info
            default: .error
            }
            let file = line.file.map { String(cString: $0).split(separator: "/").last ?? "" } ?? ""
            let handler = CoreLog.handler.withLock { $0 }
            handler?(Line(severity: severity, text: String(cString: text), place: "\(file):\(line.line)"))
        }
    }
}
