/// Who asks, until when, and from where: what goes with a request, whatever transport brought it, as far as its shard.
///
/// One object for a call, whatever the number of jobs in it.
public final class RequestContext: Sendable {
    public enum Caller: Equatable, Sendable {
        /// Showed nothing, and nothing was asked for.
        case anonymous
        /// Showed the secret that all callers share.
        case sharedToken
        /// This server.
        case server
    }

    public let caller: Caller
    /// When nobody waits for the answer any more, in steady time of this process; nil: never.
    public let deadline: Timestamp?
    /// The W3C `traceparent` that came with the request, as it came; nil: none.
    public let trace: String?
    /// Where the request came from, in its transport's form, such as `ipv4:127.0.0.1:5000`.
    public let peer: String

    public init(caller: Caller, deadline: Timestamp? = nil, trace: String? = nil, peer: String = "") {
        self.caller = caller
        self.deadline = deadline
        self.trace = trace
        self.peer = peer
    }

    /// Of what the server does on its own account.
    public static let server = RequestContext(caller: .server)
}
