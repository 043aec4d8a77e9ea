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
    private let origin: (any RequestOrigin)?

    public init(caller: Caller, deadline: Timestamp? = nil, from origin: (any RequestOrigin)? = nil) {
        self.caller = caller
        self.deadline = deadline
        self.origin = origin
    }

    /// The W3C `traceparent` that came with the request, as it came; nil: none, or the call is over.
    public var trace: String? { origin?.trace }

    /// Where the request came from, in its transport's form, such as `ipv4:127.0.0.1:5000`. Empty once the call is over.
    public var peer: String { origin?.peer ?? "" }

    /// Of what the server does on its own account.
    public static let server = RequestContext(caller: .server)
}

/// A call as its transport knows it, asked only when somebody wants to know.
public protocol RequestOrigin: AnyObject, Sendable {
    var trace: String? { get }
    var peer: String { get }
}
