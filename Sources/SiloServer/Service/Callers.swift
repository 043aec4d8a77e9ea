import GRPC

/// Who may call (spec/api.md 1.1).
struct Callers: Sendable {
    private let token: [UInt8]?

    /// - Parameter token: the shared secret; nil lets everybody in.
    init(token: String?) {
        self.token = token.map { Array($0.utf8) }
    }

    static let anybody = Callers(token: nil)

    func check(_ call: any IncomingCall) throws(Status) {
        guard let token else { return }
        guard let header = call.metadata["authorization"] else {
            throw Status(.unauthenticated, "missing authorization header")
        }
        guard header.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) else {
            throw Status(.unauthenticated, "invalid authorization header")
        }
        let prefix = "Bearer "
        guard header.hasPrefix(prefix), Self.equal(Array(header.utf8.dropFirst(prefix.utf8.count)), token) else {
            throw Status(.unauthenticated, "invalid auth token")
        }
    }

    /// Takes as long for a nearly right secret as for a wrong one.
    private static func equal(_ given: [UInt8], _ secret: [UInt8]) -> Bool {
        var difference = given.count ^ secret.count
        for index in secret.indices { difference |= Int(secret[index] ^ (index < given.count ? given[index] : 0)) }
        return difference == 0
    }
}
