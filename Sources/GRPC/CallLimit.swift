import Synchronization

/// How many calls of some methods may run at once, in all and from one client's address. For methods that anybody may
/// call, so that they take nothing from the others.
public final class CallLimit: Sendable {
    private struct State {
        var running = 0
        /// Of addresses that have some; so it is bounded as they are.
        var peers: [String: Int] = [:]
    }

    private let total: Int
    private let perPeer: Int
    private let state = Mutex(State())

    public init(total: Int, perPeer: Int) {
        self.total = total
        self.perPeer = perPeer
    }

    /// False past the limit; else followed by `leave`.
    func enter(_ host: String) -> Bool {
        state.withLock { state in
            let count = state.peers[host, default: 0]
            guard state.running < total, count < perPeer else { return false }
            state.running += 1
            state.peers[host] = count + 1
            return true
        }
    }

    func leave(_ host: String) {
        state.withLock { state in
            state.running -= 1
            let count = state.peers[host, default: 1] - 1
            state.peers[host] = count > 0 ? count : nil
        }
    }

    /// The part of a peer's name, such as `ipv4:127.0.0.1:5000`, that all connections of its machine share.
    static func host(of peer: String) -> String {
        peer.hasPrefix("ip") ? String(peer[..<(peer.lastIndex(of: ":") ?? peer.endIndex)]) : peer
    }
}
