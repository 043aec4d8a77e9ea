import GRPC

/// Who may call (spec/api.md 1.1).
struct Callers: Sendable {
    private let token: [UInt8]?

    /// - Parameter token: the shared secret; nil lets everybody in.
    init(token: String?) {
        self.token = token.map { Array($0.utf8) }
    }

    static let anybody = Callers(token: nil)

    /// Looks at a call's headers before its request is read; nil lets everybody in.
    var screen: Server.Screen? {
        guard let token else { return nil }
        return { headers in Self.refusal(headers, token) }
    }

    private static func refusal(_ headers: any CallHeaders, _ token: [UInt8]) -> Status? {
        guard let header = headers.header("authorization") else {
            return Status(.unauthenticated, "missing authorization header")
        }
        guard header.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
            return Status(.unauthenticated, "invalid authorization header")
        }
        guard header.starts(with: prefix), equal(header.dropFirst(prefix.count), token) else {
            return Status(.unauthenticated, "invalid auth token")
        }
        return nil
    }

    private static let prefix = Array("Bearer ".utf8)

    /// Takes as long for a nearly right secret as for a wrong one.
    private static func equal(_ given: ArraySlice<UInt8>, _ secret: [UInt8]) -> Bool {
        var difference = given.count ^ secret.count
        for index in secret.indices {
            difference |= Int(secret[index] ^ (index < given.count ? given[given.startIndex + index] : 0))
        }
        return difference == 0
    }
}
