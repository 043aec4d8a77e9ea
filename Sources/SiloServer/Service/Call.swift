import GRPC
import Protobuf
import SiloCore

/// A call with its answer's type. Answered once, from any thread.
struct Call<Response: Message>: Sendable {
    private let call: any IncomingCall

    init(_ call: any IncomingCall) {
        self.call = call
    }

    /// - Parameter onUndelivered: runs at most once, when it is known that the caller did not get this answer.
    func answer(_ response: Response, onUndelivered: (@Sendable () -> Void)? = nil) {
        call.respond(response.serializedBytes(), onUndelivered: onUndelivered)
    }

    func fail(_ error: any Error) { call.fail(Status(wrapping: error).shortened) }

    func answer(_ result: Result<Response, some Error>, onUndelivered: (@Sendable () -> Void)? = nil) {
        switch result {
        case .success(let response): answer(response, onUndelivered: onUndelivered)
        case .failure(let error): fail(error)
        }
    }

    /// Runs when nobody waits for the answer any more.
    func onCancel(_ body: @escaping @Sendable () -> Void) { call.onCancel(body) }
}

extension MethodTable {
    /// Serves a method: checks who calls, decodes, and hands over. What the handler throws is the answer.
    /// - Parameters:
    ///   - isServedWhileClosing: see `Server.register`.
    ///   - limit: see `Server.register`.
    mutating func serve<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, for callers: Callers, isServedWhileClosing: Bool = false,
        limit: CallLimit? = nil, _ handler: @escaping @Sendable (Request, Call<Response>) throws -> Void
    ) {
        add(method.path, isServedWhileClosing: isServedWhileClosing, limit: limit, screen: callers.screen) { raw in
            let call = Call<Response>(raw)
            do {
                let request: Request
                do {
                    request = try raw.withRequest { bytes throws(DecodingError) in 
                        try Request(decoding: bytes, nestedMax: Bounds.nestedMax(in: bytes.count))
                    }
                } catch {
                    throw Status(.invalidArgument, "the request is no valid \(Request.messageName): \(error)")
                }
                try handler(request, call)
            } catch {
                call.fail(error)
            }
        }
    }

    /// The same for handlers that wait.
    mutating func serve<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, for callers: Callers,
        _ handler: @escaping @Sendable (Request) async throws -> Response
    ) {
        serve(method, for: callers) { [environment] (request: Request, call: Call<Response>) in
            // Bound to the call: it ends by answering it.
            environment.start {
                do { call.answer(try await handler(request)) } catch { call.fail(error) }
            }
        }
    }
}
