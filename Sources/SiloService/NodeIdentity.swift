import Synchronization

/// What a server is called among others. The address is known once the port is open.
package final class NodeIdentity: Sendable {
    package let id: String
    private let listening = Mutex("")

    package init(id: String) {
        self.id = id
    }

    package var address: String {
        get { listening.withLock { $0 } }
        set { listening.withLock { $0 = newValue } }
    }
}
