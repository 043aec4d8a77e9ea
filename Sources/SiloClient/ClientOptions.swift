public import GRPC
public import SiloTelemetry

/// How a client reaches its servers.
public struct ClientOptions: Sendable {
    /// Seed servers, `host:port`. The rest are learnt from them. `https://` before one means TLS, also to those that are learnt;
    /// `http://` means plain text and contradicts `tls`.
    public var servers: [String]
    /// The secret that the servers ask for.
    public var token: String?
    /// Nil connects in plain text, but for servers that are named with `https://`: these must show a certificate of one of the
    /// system's authorities.
    public var tls: ClientTLS?
    /// Sends that are repeated at most when no server took the request.
    public var retriesMax = 8
    /// The first pause between two sends; it doubles up to 5 s.
    public var retryPause = Duration.milliseconds(250)
    /// How long one call may take; nil: for ever. A call that waits for work gets its wait on top.
    public var timeout: Duration? = .seconds(30)

    /// Makes spans of what is enqueued and of what a worker runs. Without one, `TraceContext.current` is sent as it is, and
    /// handlers get that of whoever enqueued their job.
    public var tracer: (any Tracer)?

    /// How often connections are asked with a ping whether the server is there, also without calls, and how long it may take to
    /// answer before another connection is made. Nil: never; then a server that vanished is noticed when calls time out.
    public var keepaliveInterval: Duration? = .seconds(10)
    public var keepaliveTimeout = Duration.seconds(5)
    /// Each seed names one server, not several behind one address: it is reached as it was named, whatever it calls itself.
    package var seedsAreServers = false

    public init(servers: [String]) {
        self.servers = servers
    }
}
