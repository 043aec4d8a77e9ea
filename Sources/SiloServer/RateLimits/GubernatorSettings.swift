/// Where the external rate limiter is and how it is asked (spec/limits.md 2). Numbers outside their range are taken to its
/// nearest end.
public struct GubernatorSettings: Sendable, Equatable {
    /// `host:port`; `http://` or `https://` before it says nothing, for it is called in plain text.
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

    /// The address without a scheme, in the form that a channel takes.
    func target() throws(StartError) -> String {
        var target = address[...]
        for scheme in ["http://", "https://"] where target.hasPrefix(scheme) {
            target = target.dropFirst(scheme.count)
            break
        }
        let colon = target.lastIndex(of: ":") ?? target.startIndex
        guard colon > target.startIndex, let port = UInt16(target[colon...].dropFirst()), port > 0, !target.contains("/") else {
            throw StartError("the address of gubernator must be host:port with a port from 1 to 65535, not \(address)")
        }
        return String(target)
    }
}

extension Int {
    fileprivate func clamped(to range: ClosedRange<Int>) -> Int {
        Swift.min(Swift.max(self, range.lowerBound), range.upperBound)
    }
}
