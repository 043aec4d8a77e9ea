import GRPC
import Protobuf
import SiloAPI
import Synchronization

/// Calls Gubernator.
///
/// When calls in a row end with no answer, the next goes over a new connection: one whose peer vanished without a word would
/// else be used until the system gives it up, after a quarter of an hour. Pings would tell, but Go's gRPC servers turn away
/// clients that ping often.
final class GubernatorConnection: Sendable {
    private struct State {
        var channel: Channel
        var silentCalls = 0
    }

    private static let silentCallsMax = 3
    /// Answers are short; a peer that sends more than this is none.
    private static let answerBytesMax = 4 << 20

    private let target: String
    private let options: ChannelOptions
    private let state: Mutex<State>

    /// Connects at the first call.
    init(_ settings: GubernatorSettings) throws(StartError) {
        let (target, tls) = try settings.target()
        self.target = target
        var options = ChannelOptions()
        options.tls = tls
        options.maxMessageBytes = Self.answerBytesMax
        options.connectTimeout = .milliseconds(settings.connectTimeoutMilliseconds)
        self.options = options
        state = Mutex(State(channel: Channel(target: target, options)))
    }

    /// - Parameter completion: called once, on a thread that must not be blocked.
    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request, milliseconds: Int,
        completion: @escaping @Sendable (Result<Response, Status>) -> Void
    ) {
        let channel = state.withLock { $0.channel }
        channel.unary(method.path, request.serializedBytes(), timeout: .milliseconds(milliseconds)) { result in
            self.note(result)
            completion(
                result.flatMap { bytes in
                    do {
                        return .success(try Response(serializedBytes: bytes))
                    } catch {
                        return .failure(Status(.internalError, "the answer is no valid \(Response.messageName): \(error)"))
                    }
                })
        }
    }

    func close() { state.withLock { $0.channel }.close() }

    private func note(_ result: Result<[UInt8], Status>) {
        var isSilent = false
        if case .failure(let status) = result { isSilent = status.code == .deadlineExceeded }
        // Dropping the old channel closes it: after the lock, for its calls end by that.
        let old: Channel? = state.withLock { state in
            state.silentCalls = isSilent ? state.silentCalls + 1 : 0
            guard state.silentCalls >= Self.silentCallsMax else { return nil }
            defer { state = State(channel: Channel(target: target, options)) }
            return state.channel
        }
        old?.close()
    }
}
