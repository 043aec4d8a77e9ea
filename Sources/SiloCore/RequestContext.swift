public import SiloTelemetry

/// Who asks, until when, and from where: what goes with a request, whatever transport brought it, as far as its shard.
///
/// One object for a call, whatever the number of jobs in it.
public final class RequestContext: Sendable {
    public let caller: Caller
    /// What was called, such as `Enqueue`; empty: nothing was.
    public let method: String
    /// When nobody waits for the answer any more, in steady time of this process; nil: never.
    public let deadline: Timestamp?
    /// Whom it is made for, when they trace and are recorded.
    public let trace: TraceContext?
    /// The server's own span of it; nil: none is recorded.
    public let span: RecordedSpan?
    private let origin: (any RequestOrigin)?

    public init(
        caller: Caller, method: String = "", deadline: Timestamp? = nil, trace: TraceContext? = nil, span: RecordedSpan? = nil,
        from origin: (any RequestOrigin)? = nil
    ) {
        self.caller = caller
        self.method = method
        self.deadline = deadline
        self.trace = trace.flatMap { $0.isSampled ? $0 : nil }
        self.span = span
        self.origin = origin
    }

    /// What a job of this request keeps. A trace that began here is kept as well.
    public var traceOfJobs: TraceContext? { trace ?? span?.context }

    /// Where the request came from, in its transport's form, such as `ipv4:127.0.0.1:5000`. Empty once the call is over.
    public var peer: String { origin?.peer ?? "" }

    /// Of what the server does on its own account.
    public static let server = RequestContext(caller: .server)
}

/// A call as its transport knows it, asked only when somebody wants to know.
public protocol RequestOrigin: AnyObject, Sendable {
    var peer: String { get }
}
