import GRPC
import SiloCore
import SiloTelemetry

extension ServerOptions {
    /// Two of the largest requests fit, and no more memory than serves anybody.
    private static let bufferedRange = 256 << 20...2 << 30
    /// What an idle connection costs (measured: 20 KiB, with TLS 87).
    private static let connectionBytes = 96 << 10
    private static let connectionsRange = 1024...65_536

    /// The options of a node with so many shards.
    init(_ settings: NodeSettings, shards: Int, memoryBytes: Int, metrics: NodeMetrics?, logger: Logger) {
        self.init(address: settings.address)
        if let calls = metrics?.calls {
            observer = { calls.observer(of: $0) }
            unknownObserver = calls.observer(of: nil)
        }
        tls = settings.tls
        maxConcurrentCalls = settings.concurrentCallsMax
        maxBufferedBytes = Self.bufferedRange.nearest(memoryBytes / 8)
        maxConnections = Self.connectionsRange.nearest(memoryBytes / 8 / Self.connectionBytes)
        reservedDescriptors = DescriptorLimit.reserve(shards: shards) + OperatorPort.connectionsMax
        // A request that comes alone is served where it came in.
        eventRunner = {
            let thread = LentThread(after: .microseconds(200))
            return { event in thread.lend { event() } }
        }
        let throttle = LogThrottle(logger, linesMax: 1)
        connectionRefused = { [refusals = metrics?.refusedConnections] in
            refusals?.add()
            throttle.log(.warn, kind: "", "connection refused: there are too many, or too few descriptors left")
        }
    }
}

extension ClosedRange<Int> {
    fileprivate func nearest(_ value: Int) -> Int { Swift.min(Swift.max(value, lowerBound), upperBound) }
}

extension Logger {
    /// What an operator should know of who can reach the server, and how.
    func warnOfAccess(_ settings: NodeSettings, _ advertised: AdvertisedAddress) {
        if advertised.isGuess {
            warn("listening on all interfaces without --advertise: clients are told to call the address chosen here", [
                "advertised": .init(advertised.text),
            ])
        }
        if let tls = settings.tls, !settings.address.hasPrefix("unix:"), tls.names(advertised.host) == false {
            warn("the certificate does not name what clients are told to call", ["host": .init(advertised.host)])
        }
        guard !AdvertisedAddress.isLocal(settings.address) else { return }
        if settings.authToken == nil, settings.tokensFile == nil, settings.tls?.clientCA == nil {
            warn("anybody who reaches this address may do anything: there is no --tokens-file", [
                "listen": .init(settings.address),
            ])
        }
        if settings.authToken != nil || settings.tokensFile != nil, settings.tls == nil {
            warn("the auth token crosses the network in plain text: there is no --tls-cert", ["listen": .init(settings.address)])
        }
    }
}
