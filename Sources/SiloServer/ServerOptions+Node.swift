import GRPC
import SiloTelemetry

extension ServerOptions {
    /// Two of the largest requests fit, and no more memory than serves anybody.
    private static let bufferedRange = 256 << 20...2 << 30

    /// The options of a node with so many shards.
    init(_ settings: NodeSettings, shards: Int, memoryBytes: Int, logger: Logger) {
        self.init(address: settings.address)
        tls = settings.tls
        maxConcurrentCalls = settings.concurrentCallsMax
        maxBufferedBytes = min(max(memoryBytes / 8, Self.bufferedRange.lowerBound), Self.bufferedRange.upperBound)
        reservedDescriptors = DescriptorLimit.reserve(shards: shards)
        let throttle = LogThrottle(logger, linesMax: 1)
        connectionRefused = { throttle.log(.warn, kind: "", "connection refused: too few descriptors are left") }
    }
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
        if settings.authToken == nil, settings.tls?.clientCA == nil {
            warn("anybody who reaches this address may do anything: there is no --auth-token-file", [
                "listen": .init(settings.address),
            ])
        }
        if settings.authToken != nil, settings.tls == nil {
            warn("the auth token crosses the network in plain text: there is no --tls-cert", ["listen": .init(settings.address)])
        }
    }
}
