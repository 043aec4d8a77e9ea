import SiloServer
import Synchronization

/// The server from the moment at which it says that it serves. A signal may come before anybody was handed it.
final class StartedNode: Sendable {
    private struct State {
        var node: Node?
        var isStopping = false
    }
    private let state = Mutex(State())

    /// Keeps it and has it say so, unless the process is ending already.
    func keep(_ node: Node, _ announce: () -> Void) {
        state.withLock { state in
            guard !state.isStopping else { return }
            state.node = node
            announce()
        }
    }

    /// The server that is to be stopped; nil: it is still starting, and will not say any more that it has.
    func stop() -> Node? {
        state.withLock { state in
            state.isStopping = true
            return state.node
        }
    }
}
