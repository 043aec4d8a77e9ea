package import SiloCore

/// Who may call (spec/api.md 1.1).
package struct Callers: Sendable {
    private let token: [UInt8]?

    /// - Parameter token: the shared secret; nil lets everybody in.
    package init(token: String?) {
        self.token = token.map { Array($0.utf8) }
    }

    package static let anybody = Callers(token: nil)

    package var mayBeAnybody: Bool { token == nil }

    /// Those who are let in.
    package var caller: RequestContext.Caller { mayBeAnybody ? .anonymous : .sharedToken }

    /// - Parameter authorization: of a request, as it came; nil: it has none.
    package func check(_ authorization: [UInt8]?) throws(SiloError) {
        guard let token else { return }
        guard let authorization else { throw .unauthenticated("missing authorization header") }
        guard authorization.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
            throw .unauthenticated("invalid authorization header")
        }
        guard authorization.starts(with: Self.prefix), Self.equal(authorization.dropFirst(Self.prefix.count), token) else {
            throw .unauthenticated("invalid auth token")
        }
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
