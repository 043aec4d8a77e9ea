import GRPC
import SiloCore
import Synchronization

/// The way to one address, and when something was last heard on it.
final class Link: Sendable {
    let transport: any Transport
    private let heard: Mutex<Timestamp>

    init(_ transport: any Transport, now: Timestamp) {
        self.transport = transport
        heard = Mutex(now)
    }

    /// On the steady clock. Before the first answer: when it was made.
    var lastHeard: Timestamp { heard.withLock { $0 } }

    /// Notes what a call came to: an answer of any kind shows that somebody is there.
    func note(_ failure: Status?, at now: Timestamp) {
        guard failure?.isSilence != true else { return }
        heard.withLock { $0 = max($0, now) }
    }
}

extension Status {
    /// Nothing was heard of the server.
    var isSilence: Bool { code == .deadlineExceeded || code == .unavailable || code == .cancelled }
}
