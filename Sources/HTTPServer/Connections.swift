import CMicroHTTPD
import Glibc
import Synchronization

/// A connection of the library.
///
/// `@unchecked Sendable`: the pointer is a name, which goes to the library only for connections that `Connections` knows as open,
/// and there to calls that any thread may make.
struct Connection: Hashable, @unchecked Sendable {
    let pointer: OpaquePointer
}

/// The open connections: until when each may go on as it does, and which are suspended, so that the library leaves them alone
/// while somebody else is at work for them.
final class Connections: Sendable {
    fileprivate struct Entry {
        let descriptor: Int32
        /// Nil: it waits for us, not we for it.
        var deadline: ContinuousClock.Instant?
        /// The request that a handler is at work for.
        var exchange: Exchange?
        /// The library leaves it alone until this has more for it; nil: it is not suspended.
        var suspended: Exchange?
    }
    fileprivate struct State {
        var entries: [Connection: Entry] = [:]
        var isStopping = false
    }
    private let state = Mutex(State())

    var count: Int { state.withLock { $0.entries.count } }

    func opened(_ connection: Connection, within time: Duration) {
        let descriptor = chttp_descriptor(connection.pointer)
        state.withLock { $0.entries[connection] = Entry(descriptor: descriptor, deadline: .now + time) }
    }

    /// Its descriptor is closed after this.
    func closed(_ connection: Connection) { state.withLock { $0.entries[connection] = nil } }

    /// The connection goes on like this for so long at most; nil: for ever.
    func expect(_ connection: Connection, within time: Duration?, handling exchange: Exchange? = nil) {
        let deadline = time.map { ContinuousClock.now + $0 }
        state.withLock { state in
            state.entries[connection]?.deadline = deadline
            state.entries[connection]?.exchange = exchange
        }
    }

    /// Leaves it to `exchange`. On the library's thread, in a callback of the connection. False while the server stops: suspended
    /// connections would keep it from it.
    func suspend(_ connection: Connection, for exchange: Exchange) -> Bool {
        state.withLock { state in
            guard !state.isStopping, state.entries[connection] != nil else { return false }
            state.entries[connection]?.suspended = exchange
            MHD_suspend_connection(connection.pointer)
            return true
        }
    }

    /// The library looks at the connection again, if it is suspended.
    func resume(_ connection: Connection) { state.withLock { $0.resume(connection) } }

    /// Nothing is suspended any more.
    func stop() {
        state.withLock { state in
            state.isStopping = true
            for connection in Array(state.entries.keys) { state.resume(connection) }
        }
    }

    /// Ends what is done for clients that have left: the library does not look at suspended connections. One that has closed its
    /// side alone counts as gone too, as with other servers.
    func endAbandoned() {
        let abandoned = state.withLock { state in
            state.entries.values.compactMap { entry -> Exchange? in
                guard let exchange = entry.suspended, chttp_has_left(entry.descriptor) else { return nil }
                return exchange
            }
        }
        for exchange in abandoned { exchange.abandon() }
    }

    /// Ends what goes on for too long: handlers are given up, and connections closed.
    func endOverdue(at now: ContinuousClock.Instant) {
        let overdue = state.withLock { state in
            var handling: [Exchange] = []
            for (connection, entry) in state.entries {
                guard let deadline = entry.deadline, deadline <= now else { continue }
                state.entries[connection]?.deadline = nil
                if let exchange = entry.exchange {
                    handling.append(exchange)
                } else {
                    // The library sees the end, and closes the descriptor once the entry is gone.
                    shutdown(entry.descriptor, Int32(SHUT_RDWR))
                }
            }
            return handling
        }
        for exchange in overdue { exchange.giveUp() }
    }
}

extension Connections.State {
    fileprivate mutating func resume(_ connection: Connection) {
        guard entries[connection]?.suspended != nil else { return }
        entries[connection]?.suspended = nil
        MHD_resume_connection(connection.pointer)
    }
}
