import CGRPC
import Glibc

/// How a server listens and what it allows.
public struct ServerOptions: Sendable {
    /// `host:port`, where port 0 means any free one, or `unix:path`.
    public var address: String
    /// Nil: plain text.
    public var tls: ServerTLS?
    /// The largest message in either direction. A larger request ends its call with `resourceExhausted`, a larger answer
    /// with `outOfRange`: asking again does not help.
    public var maxMessageBytes = 128 << 20
    /// Calls in handlers at once. Calls past it end with `resourceExhausted` before their handler runs.
    public var maxConcurrentCalls = 100_000
    /// Calls at once on one connection; clients hold back what is past it.
    public var maxConcurrentStreamsPerConnection = 10_000
    /// The bytes that all connections may hold in messages being received, and in requests that no handler has read,
    /// roughly. Under pressure the core reads less at a time, then ends calls with `resourceExhausted`. Nil: no limit.
    public var maxBufferedBytes: Int? = 2 << 30
    /// Completion queues, and threads for each. Handlers run on these threads, but for those of requests of 32 KiB and
    /// more, which have one of their own.
    public var completionQueues = 1
    public var threadsPerQueue = 1
    /// Asked on each of these threads for what runs its events, one after another. Nil: nothing is done beside an event.
    public var eventRunner: (@Sendable () -> EventRunner)?
    /// How long a connection may be silent before the server asks with a ping whether the client is alive, and how
    /// long it waits for the answer before closing the connection. Clients may themselves ping as often as they like.
    public var keepaliveInterval: Duration = .seconds(60)
    public var keepaliveTimeout: Duration = .seconds(20)
    /// How long a client may take to connect, TLS included.
    public var handshakeTimeout: Duration = .seconds(20)

    /// Descriptors that connections leave to files and whatever else the process opens. Connections that come when no
    /// more than these are free are closed at once.
    public var reservedDescriptors = 64
    /// Connections at once, roughly: what else the process has open beyond the reserve counts too. Idle ones cost memory.
    public var maxConnections = 65_536
    /// Runs for each connection that was closed because there is no room for it. Must not block.
    public var connectionRefused: @Sendable () -> Void = {}

    /// Gives who is told of the answers of a method, by its path; asked once for each. Nil: nobody.
    public var observer: @Sendable (_ path: String) -> CallObserver? = { _ in nil }
    /// Is told of the answers to calls of methods that are not served.
    public var unknownObserver: CallObserver?

    /// Runs after each call that is over, `runningCalls` being less then: lets tests wait for it. Must not block.
    package var callEnded: (@Sendable () -> Void)?

    public init(address: String) { self.address = address }

    /// Connections get descriptors below this number: as many as there may be connections besides the reserve, and not of the
    /// reserve itself, which is at most half of what the process may have.
    var connectionDescriptorsMax: Int32 {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
        let all = Int(clamping: limit.rlim_cur)
        return Int32(clamping: min(all - min(reservedDescriptors, all / 2), maxConnections + reservedDescriptors))
    }

    var arguments: Arguments {
        var arguments = Arguments(maxMessageBytes: maxMessageBytes)
        arguments[GRPC_ARG_MAX_CONCURRENT_STREAMS] = Int32(clamping: maxConcurrentStreamsPerConnection)
        arguments[GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS] = handshakeTimeout.milliseconds
        // A second process on the same port is a mistake, which the kernel would hide by sharing the connections out.
        arguments[GRPC_ARG_ALLOW_REUSEPORT] = 0
        arguments[GRPC_ARG_KEEPALIVE_TIME_MS] = keepaliveInterval.milliseconds
        arguments[GRPC_ARG_KEEPALIVE_TIMEOUT_MS] = keepaliveTimeout.milliseconds
        arguments[GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS] = 1
        arguments[GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA] = 0
        // No ping is ever answered with GOAWAY: clients in the field ping every 5 s without calls (api.md 1).
        arguments[GRPC_ARG_HTTP2_MAX_PING_STRIKES] = 0
        arguments[GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS] = 1000
        return arguments
    }
}

/// Runs an event of a server's thread, and what else it is to do then.
public typealias EventRunner = (_ event: () -> Void) -> Void

/// Is told of each answer of a method, and how long after the call it came. Must not block.
public typealias CallObserver = @Sendable (Status.Code, Duration) -> Void

/// A server's certificate, all in PEM.
public struct ServerTLS: Sendable {
    /// The server's own certificate first.
    public var certificateChain: [UInt8]
    public var privateKey: [UInt8]
    /// Given: only clients with a certificate signed by one of these are let in.
    public var clientCA: [UInt8]?

    public init(certificateChain: [UInt8], privateKey: [UInt8], clientCA: [UInt8]? = nil) {
        self.certificateChain = certificateChain
        self.privateKey = privateKey
        self.clientCA = clientCA
    }
}

extension [UInt8] {
    func lendCString<R>(_ body: (UnsafePointer<CChar>) -> R) -> R {
        String(decoding: self, as: UTF8.self).withCString(body)
    }
}
