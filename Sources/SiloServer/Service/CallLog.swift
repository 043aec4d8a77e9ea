import GRPC
import SiloCore
import SiloService
import SiloTelemetry

/// Tells of calls that fail: where the server is at fault as a warning, and of all others to whoever asks for debug lines.
final class CallLog: Sendable {
    private let logger: Logger
    private let throttle: LogThrottle

    init(_ logger: Logger) {
        self.logger = logger
        throttle = LogThrottle(logger)
    }

    func note(_ status: Status, _ context: RequestContext) {
        let level: LogLevel = status.code.isFault ? .warn : .debug
        guard logger.allows(level) else { return }
        throttle.log(level, kind: "\(context.method) \(status.code)", "call failed", [
            "code": .init(status.code), "error": .init(status.message), "peer": .init(context.peer),
        ], by: logger.of(context))
    }
}

extension Status.Code {
    /// Something is wrong that should not be, and nobody has told of it elsewhere.
    fileprivate var isFault: Bool { self == .unknown || self == .internalError || self == .dataLoss }
}
