import GRPC
import SiloCore
import SiloTelemetry

/// A call whose span ends with its answer.
final class TracedCall: IncomingCall {
    private let call: any IncomingCall
    private let span: RecordedSpan

    init(_ call: any IncomingCall, _ span: RecordedSpan) {
        self.call = call
        self.span = span
        span.set("network.peer.address", .init(call.peer))
    }

    var peer: String { call.peer }
    var timeRemaining: Duration? { call.timeRemaining }
    func header(_ key: String) -> [UInt8]? { call.header(key) }
    func withRequest<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try call.withRequest(body) }
    func onCancel(_ body: @escaping @Sendable () -> Void) { call.onCancel(body) }

    func respond(_ bytes: [UInt8], onUndelivered: (@Sendable () -> Void)?) {
        span.end(Status(.ok))
        call.respond(bytes, onUndelivered: onUndelivered)
    }

    func fail(_ status: Status) {
        span.end(status)
        call.fail(status)
    }
}

extension RecordedSpan {
    /// The call that it records was answered.
    func end(_ status: Status) {
        set("rpc.grpc.status_code", SpanValue(Int(status.code.rawValue)))
        end(failure: status.code.isFailureOfServer ? "\(status)" : nil)
    }
}

extension RecordingTracer {
    /// - Parameters:
    ///   - path: `/package.Service/Method`.
    ///   - trace: whom the call is made for.
    /// - Returns: nil: the call is not recorded.
    func call(_ path: String, for trace: TraceContext?) -> RecordedSpan? {
        record(Self.start(path), parent: trace)
    }

    private static func start(_ path: String) -> SpanStart {
        let parts = path.split(separator: "/")
        let (service, method) = (parts.first ?? "", parts.last ?? "")
        return SpanStart("grpc_request", .server, [
            "rpc.system": "grpc", "rpc.service": .init(service), "rpc.method": .init(method),
        ])
    }
}

extension Status.Code {
    /// Of those that end a call, the ones that are no fault of its caller (OpenTelemetry's conventions for servers of gRPC).
    var isFailureOfServer: Bool {
        switch self {
        case .unknown, .deadlineExceeded, .unimplemented, .internalError, .unavailable, .dataLoss: true
        default: false
        }
    }
}
