import CGRPC

/// How a channel connects and what it allows.
public struct ChannelOptions: Sendable {
    /// Nil: plain text.
    public var tls: ClientTLS?
    /// The largest message in either direction; a call with a larger one ends with `resourceExhausted`.
    public var maxMessageBytes = 128 << 20
    /// How often to ask a connection with pings whether the server is alive, also without calls; nil: never.
    public var keepaliveInterval: Duration?
    /// How long to wait for the answer to a ping before giving up the connection.
    public var keepaliveTimeout: Duration = .seconds(20)
    /// Waits between attempts to connect; at least 100 ms.
    public var initialReconnectBackoff: Duration = .milliseconds(100)
    public var maxReconnectBackoff: Duration = .seconds(2)
    /// How long one attempt to connect may take.
    public var connectTimeout: Duration = .seconds(5)
    /// For a process whose business is to serve: sockets are looked at for this channel only while a unary call is under way. A
    /// thread that always waits for them takes turns with the server's own, and each turn costs a switch between the two
    /// (measured: a quarter more processor time for each call that is served). Keepalive does not work then.
    public var isQuiet = false
    /// Goes before the C core's own text in the `user-agent` header.
    public var userAgent: String?

    public init() {}

    var arguments: Arguments {
        var arguments = Arguments(maxMessageBytes: maxMessageBytes)
        arguments[GRPC_ARG_KEEPALIVE_TIME_MS] = keepaliveInterval?.milliseconds
        arguments[GRPC_ARG_KEEPALIVE_TIMEOUT_MS] = keepaliveTimeout.milliseconds
        arguments[GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS] = 1
        arguments[GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA] = 0
        arguments[GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS] = initialReconnectBackoff.milliseconds
        arguments[GRPC_ARG_MAX_RECONNECT_BACKOFF_MS] = maxReconnectBackoff.milliseconds
        arguments[GRPC_ARG_MIN_RECONNECT_BACKOFF_MS] = connectTimeout.milliseconds
        // A server that moved is found again soon, at the price of a look-up a second while it is away.
        arguments[GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS] = 1000
        arguments[GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION] = 1
        // Each channel has connections of its own, so that closing it closes them.
        arguments[GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL] = 1
        if let userAgent { arguments.set(GRPC_ARG_PRIMARY_USER_AGENT_STRING, userAgent) }
        if let name = tls?.serverNameOverride { arguments.set(GRPC_SSL_TARGET_NAME_OVERRIDE_ARG, name) }
        return arguments
    }
}

/// Whom a client trusts and who it is, all in PEM.
public struct ClientTLS: Sendable {
    /// Nil: the certificate authorities of the system.
    public var rootCA: [UInt8]?
    public var certificateChain: [UInt8]?
    public var privateKey: [UInt8]?
    /// The name to expect in the server's certificate, when it is not the target's.
    public var serverNameOverride: String?

    public init(
        rootCA: [UInt8]? = nil, certificateChain: [UInt8]? = nil, privateKey: [UInt8]? = nil,
        serverNameOverride: String? = nil
    ) {
        self.rootCA = rootCA
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.serverNameOverride = serverNameOverride
    }

    /// Credentials for the C core, to be released by the caller; nil when they make no sense.
    func credentials() -> OpaquePointer? {
        lend(rootCA) { ca in
            guard certificateChain != nil || privateKey != nil else {
                return grpc_ssl_credentials_create_ex(ca, nil, nil, nil)
            }
            return lend(certificateChain) { chain in
                lend(privateKey) { key in
                    guard let chain, let key else { return nil }
                    var pair = grpc_ssl_pem_key_cert_pair(private_key: key, cert_chain: chain)
                    return grpc_ssl_credentials_create_ex(ca, &pair, nil, nil)
                }
            }
        }
    }

    private func lend<R>(_ bytes: [UInt8]?, _ body: (UnsafePointer<CChar>?) -> R) -> R {
        guard let bytes else { return body(nil) }
        return bytes.lendCString { body($0) }
    }
}
