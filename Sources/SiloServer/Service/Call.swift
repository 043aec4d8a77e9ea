import GRPC
import Protobuf
import SiloCore
import SiloService
import SiloTelemetry

/// A gRPC call as an operation sees it, whose answer is the message to send.
struct Call<Answer: Message>: Reply {
    private let call: any IncomingCall
    private let context: RequestContext
    private let log: CallLog
    /// Nil: nothing is kept of it.
    private let record: CallRecord?

    init(_ call: any IncomingCall, _ context: RequestContext, _ log: CallLog, _ record: CallRecord? = nil) {
        self.call = call
        self.context = context
        self.log = log
        self.record = record
    }

    func send(_ result: Result<Answer, SiloError>, onUndelivered: (@Sendable () -> Void)?) {
        send(result, entries: [], onUndelivered: onUndelivered)
    }

    /// - Parameter entries: what was refused of a batch; asked for where a record is kept.
    fileprivate func send(
        _ result: Result<Answer, SiloError>, entries: @autoclosure () -> [SiloError], onUndelivered: (@Sendable () -> Void)?
    ) {
        record?.end(result.refusal, entries())
        switch result {
        case .success(let answer): call.respond(answer.serializedBytes(), onUndelivered: onUndelivered)
        case .failure(let error):
            let status = Status(error).shortened
            log.note(status, context)
            call.fail(status)
        }
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) { call.onCancel(body) }
}

/// The same of an operation whose answer is made into a message first.
private struct ConvertedCall<Answer: Sendable, Response: Message>: Reply {
    let call: Call<Response>
    let response: @Sendable (Answer) -> Response

    func send(_ result: Result<Answer, SiloError>, onUndelivered: (@Sendable () -> Void)?) {
        call.send(result.map(response), entries: Self.refusals(in: result), onUndelivered: onUndelivered)
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) { call.onCancel(body) }

    private static func refusals(in result: Result<Answer, SiloError>) -> [SiloError] {
        guard case .success(let answer as any BatchAnswer) = result else { return [] }
        return answer.refusals
    }
}

extension TraceContext {
    /// Whom a call is made for; nil: nobody who traces.
    fileprivate init?(of call: any IncomingCall) {
        guard let parent = call.header("traceparent") else { return nil }
        self.init(parent, state: call.header("tracestate").map { String(decoding: $0, as: UTF8.self) } ?? "")
    }
}

extension IncomingCall {
    /// - Parameter caller: who calls, as the call's headers showed.
    func context(
        _ caller: Caller, _ method: String, _ clock: any Clock, _ trace: TraceContext?, _ span: RecordedSpan?
    ) -> RequestContext {
        RequestContext(
            caller: caller, method: method, deadline: timeRemaining.map { clock.steady + $0.milliseconds }, trace: trace,
            span: span, from: self
        )
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}

extension MethodTable {
    /// Serves a method: checks who calls, decodes, and hands over to an operation whose answer is a message.
    mutating func serve<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, for callers: Gate, _ operation: @escaping Operation<Request, Response>
    ) {
        add(method, for: callers) { request, context, call throws(SiloError) in try operation(request, context, call) }
    }

    /// Serves a method by an operation whose answer `response` makes into a message.
    mutating func serve<Request: Message, Answer: Sendable, Response: Message>(
        _ method: Method<Request, Response>, for callers: Gate, _ operation: @escaping Operation<Request, Answer>,
        _ response: @escaping @Sendable (Answer) -> Response
    ) {
        add(method, for: callers) { request, context, call throws(SiloError) in
            try operation(request, context, ConvertedCall(call: call, response: response))
        }
    }

    /// Serves a method by an operation that waits.
    mutating func serve<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, for callers: Gate,
        _ operation: @escaping @Sendable (Request, RequestContext) async throws(SiloError) -> Response
    ) {
        add(method, for: callers) { [environment] request, context, call throws(SiloError) in
            // Bound to the call: it ends by answering it.
            environment.start {
                do throws(SiloError) { call.send(try await operation(request, context)) } catch { call.send(.failure(error)) }
            }
        }
    }

    private mutating func add<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, for callers: Gate,
        _ begin: @escaping @Sendable (Request, RequestContext, Call<Response>) throws(SiloError) -> Void
    ) {
        let (clock, path, isWritten) = (environment.clock, method.path, callers.writes(method.path))
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        add(path, screen: callers.screen(of: path)) { [tracer, log] call, caller in
            let trace = TraceContext(of: call)
            let span = tracer?.call(path, for: trace)
            let call = span.map { TracedCall(call, $0) } ?? call
            let context = call.context(caller, name, clock, trace, span)
            var record: CallRecord?
            do throws(SiloError) {
                var size = 0
                let request: Request = try call.request(&size)
                callers.pay(for: caller, request, bytes: size)
                record = callers.record(path, request, context, isWritten: isWritten)
                try begin(request, context, Call(call, context, log, record))
            } catch {
                Call<Response>(call, context, log, record).send(.failure(error))
            }
        }
    }
}

extension IncomingCall {
    /// The request, decoded.
    /// - Parameter size: is set to the bytes that it had.
    func request<Request: Message>(_ size: inout Int) throws(SiloError) -> Request {
        do {
            return try withRequest { bytes throws(DecodingError) in
                size = bytes.count
                return try Request(decoding: bytes, nestedMax: Bounds.nestedMax(in: bytes.count))
            }
        } catch {
            throw .invalidArgument("the request is no valid \(Request.messageName): \(error)")
        }
    }
}
