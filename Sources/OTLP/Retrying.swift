import GRPC
import Protobuf

/// What follows a failed export, as OTLP says: some codes may be tried again, after a pause that doubles and is partly chance.
struct Retrying {
    private static let pauseFirst: Int64 = 1000
    private static let pauseMax: Int64 = 5000
    /// A collector may ask for more than is worth waiting for.
    private static let askedMax: Int64 = 60_000

    private var pause = pauseFirst

    /// - Parameter chance: any number.
    /// - Returns: milliseconds until the next try; nil: there is none.
    mutating func pause(after status: Status, chance: UInt64) -> Int64? {
        let asked = Self.askedPause(status)
        guard asked != nil || Self.isWorthAnotherTry(status.code) else { return nil }
        defer { pause = min(2 * pause, Self.pauseMax) }
        // One that asks for none would be asked again and again.
        return max(pause / 2 + Int64(chance % UInt64(pause / 2 + 1)), min(asked ?? 0, Self.askedMax))
    }

    /// An exhausted collector is asked again only when it says when.
    private static func isWorthAnotherTry(_ code: Status.Code) -> Bool {
        switch code {
        case .cancelled, .deadlineExceeded, .aborted, .outOfRange, .unavailable, .dataLoss: true
        default: false
        }
    }

    /// What a `RetryInfo` in the status asks for.
    private static func askedPause(_ status: Status) -> Int64? {
        guard status.code == .resourceExhausted || isWorthAnotherTry(status.code),
            let bytes = status.trailers.bytes("grpc-status-details-bin"),
            let detail = try? GoogleRPC.Status(serializedBytes: bytes).details.first(where: {
                $0.typeUrl.hasSuffix("/google.rpc.RetryInfo")
            }),
            let delay = try? GoogleRPC.RetryInfo(serializedBytes: detail.value).retryDelay
        else { return nil }
        return max(0, max(0, min(delay.seconds, askedMax / 1000)) * 1000 + Int64(delay.nanos) / 1_000_000)
    }
}
