import GRPC
import Protobuf
import SiloCore
import SiloService

/// A gRPC call as an operation sees it, whose answer is the message to send.
struct Call<Answer: Message>: Reply {
    private let call: any IncomingCall

    init(_ call: any IncomingCall) { self.call = call }

    func send(_ result: Result<Answer, SiloError>, onUndelivered: (@Sendable () -> Void)?) {
        switch result {
        case .success(let answer): call.respond(answer.serializedBytes(), onUndelivered: onUndelivered)
        case .failure(let error): call.fail(error)
        }
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) { call.onCancel(body) }
}

/// The same of an operation whose answer is made into a message first.
private struct ConvertedCall<Answer: Sendable, Response: Message>: Reply {
    let call: Call<Response>
    let response: @Sendable (Answer) -> Response

    func send(_ result: Result<Answer, SiloError>, onUndelivered: (@Sendable () -> Void)?) {
        call.send(result.map(response), onUndelivered: onUndelivered)
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) { call.onCancel(body) }
}

extension Callers {
    /// Looks at a call's headers before its request is read; nil lets everybody in.
    fileprivate var screen: Server.Screen? {
        guard !mayBeAnybody else { return nil }
        return { headers in
            do throws(SiloError) {
                try check(headers.header("authorization"))
                return nil
            } catch {
                return Status(error)
            }
        }
    }
}

extension IncomingCall {
    func fail(_ error: SiloError) { fail(Status(error).shortened) }

    /// - Parameter caller: who calls, as the call's headers showed.
    fileprivate func context(_ caller: RequestContext.Caller, _ clock: any Clock) -> RequestContext {
        RequestContext(caller: caller, deadline: timeRemaining.map { clock.steady + $0.milliseconds }, from: self)
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}

extension MethodTable {
    /// Serves a method: checks who calls, decodes, and hands over to an operation whose answer is a message.
    mutating func serve<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, for callers: Callers, _ operation: @escaping Operation<Request, Response>
    ) {
        add(method, for: callers) { request, context, call throws(SiloError) in try operation(request, context, call) }
    }

    /// Serves a method by an operation whose answer `response` makes into a message.
    mutating func serve<Request: Message, Answer: Sendable, Response: Message>(
        _ method: Method<Request, Response>, for callers: Callers, _ operation: @escaping Operation<Request, Answer>,
        _ response: @escaping @Sendable (Answer) -> Response
    ) {
        add(method, for: callers) { request, context, call throws(SiloError) in
            try operation(request, context, ConvertedCall(call: call, response: response))
        }
    }

    /// Serves a method by an operation that waits.
    mutating func serve<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, for callers: Callers,
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
        _ method: Method<Request, Response>, for callers: Callers,
        _ begin: @escaping @Sendable (Request, RequestContext, Call<Response>) throws(SiloError) -> Void
    ) {
        let (caller, clock) = (callers.caller, environment.clock)
        add(method.path, screen: callers.screen) { call in
            do throws(SiloError) {
                try begin(try call.request(), call.context(caller, clock), Call(call))
            } catch {
                call.fail(error)
            }
        }
    }
}

extension IncomingCall {
    /// The request, decoded.
    func request<Request: Message>() throws(SiloError) -> Request {
        do {
            return try withRequest { bytes throws(DecodingError) in
                try Request(decoding: bytes, nestedMax: Bounds.nestedMax(in: bytes.count))
            }
        } catch {
            throw .invalidArgument("the request is no valid \(Request.messageName): \(error)")
        }
    }
}
