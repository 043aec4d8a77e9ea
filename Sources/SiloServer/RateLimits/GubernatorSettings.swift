import GRPC

/// Where the external rate limiter is and how it is asked (spec/limits.md 2). Numbers outside their range are taken to its
/// nearest end.
public struct GubernatorSettings: Sendable, Equatable {
    /// `host:port`, called in plain text; with `https://` before it, with TLS and the system's authorities.
    public var address: String
    /// How long the first check of a batch waits for others.
    public var coalesceMilliseconds = 5
    /// Checks in one call. Gubernator takes no more than 1000.
    public var batchMax = 100
    /// How long it may take to connect, and to answer at the start of the server.
    public var connectTimeoutMilliseconds = 5000
    /// How long one call may take.
    public var requestTimeoutMilliseconds = 10_000

    public static let coalesceRange = 1...1000
    public static let batchRange = 1...1000
    public static let timeoutRange = 1...600_000

    public init(address: String) {
        self.address = address
    }

    /// The same with every number in its range.
    var bounded: GubernatorSettings {
        var bounded = self
        bounded.coalesceMilliseconds = coalesceMilliseconds.clamped(to: Self.coalesceRange)
        bounded.batchMax = batchMax.clamped(to: Self.batchRange)
        bounded.connectTimeoutMilliseconds = connectTimeoutMilliseconds.clamped(to: Self.timeoutRange)
        bounded.requestTimeoutMilliseconds = requestTimeoutMilliseconds.clamped(to: Self.timeoutRange)
        return bounded
    }

    /// Where it is, in the form that a channel takes, and the TLS to call it with; nil: plain text.
    func target() throws(StartError) -> (name: String, tls: ClientTLS?) {
        let place: ServerAddress
        let tls: ClientTLS?
        do throws(ServerAddress.Mistake) {
            place = try ServerAddress(address)
            tls = try place.tls(nil)
        } catch {
            throw mistake(": \(error)")
        }
        let colon = place.target.lastIndex(of: ":") ?? place.target.startIndex
        guard colon > place.target.startIndex, let port = UInt16(place.target[colon...].dropFirst()), port > 0,
            !place.target.contains("/")
        else {
            throw mistake()
        }
        return (place.target, tls)
    }

    private func mistake(_ reason: String = "") -> StartError {
        StartError(
            "the address of gubernator must be host:port with a port from 1 to 65535, not \(address)\(reason)",
            mistaken: "gubernator.address")
    }
}

extension Int {
    fileprivate func clamped(to range: ClosedRange<Int>) -> Int {
        Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }
}
