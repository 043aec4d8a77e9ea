public import GRPC

/// How a client reaches its servers.
public struct ClientOptions: Sendable {
    /// Seed servers, `host:port`. The rest are learnt from them.
    public var servers: [String]
    /// The secret that the servers ask for.
    public var token: String?
    /// Nil connects in plain text.
    public var tls: ClientTLS?
    /// Sends that are repeated at most when no server took the request.
    public var retriesMax = 8
    /// The first pause between two sends; it doubles up to 5 s.
    public var retryPause = Duration.milliseconds(250)
    /// How long one call may take; nil: for ever. A call that waits for work gets its wait on top.
    public var timeout: Duration? = .seconds(30)

    public init(servers: [String]) {
        self.servers = servers
    }
}
