import GRPC
import Protobuf
import SiloCore
import SiloService
import SiloTelemetry

/// A gRPC call that is answered by a stream, as an operation sees it.
struct StreamedCall<Answer: Message>: StreamReply {
    private let call: ServerCall
    private let context: RequestContext
    private let log: CallLog
    /// Nil: nothing is kept of it.
    private let record: CallRecord?
    /// Ends with the stream; nil: it is not recorded.
    private let span: RecordedSpan?

    init(_ call: ServerCall, _ context: RequestContext, _ log: CallLog, _ record: CallRecord?, _ span: RecordedSpan?) {
        self.call = call
        self.context = context
        self.log = log
        self.record = record
        self.span = span
    }

    func send(_ answer: Answer, whenTaken: @escaping @Sendable (Bool) -> Void) {
        call.send(answer.serializedBytes(), completion: whenTaken)
    }

    func end(_ failure: SiloError?) {
        record?.end(failure)
        guard let failure else {
            span?.end(Status(.ok))
            return call.finish()
        }
        let status = Status(failure).shortened
        span?.end(status)
        log.note(status, context)
        // Whoever has stopped reading would never take the message before it.
        call.abort(status)
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) { call.onCancel(body) }
}

extension MethodTable {
    /// Serves a method that answers with a stream: checks who calls, decodes, and hands over to an operation.
    mutating func serveStream<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, for callers: Gate, _ operation: @escaping StreamOperation<Request, Response>
    ) {
        let (clock, path, isWritten) = (environment.clock, method.path, callers.writes(method.path))
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        addAnswerStream(path, screen: callers.screen(of: path)) { [tracer, log] call, caller in
            let trace = call.header("traceparent").flatMap { TraceContext($0) }
            let span = tracer?.call(path, for: trace)
            span?.set("network.peer.address", .init(call.peer))
            let context = call.context(caller, name, clock, trace, span)
            var record: CallRecord?
            do throws(SiloError) {
                var size = 0
                let request: Request = try call.request(&size)
                callers.pay(for: caller, request, bytes: size)
                record = callers.record(path, request, context, isWritten: isWritten)
                try operation(request, context, StreamedCall<Response>(call, context, log, record, span))
            } catch {
                StreamedCall<Response>(call, context, log, record, span).end(error)
            }
        }
    }
}
