import CGRPC
import Glibc
import Synchronization

/// Accepts connections on a thread of its own, as long as the process has descriptors to spare.
///
/// The kernel gives each new descriptor the lowest number that is free: one of number n says that n are in use. So a
/// connection whose number is past the bound is closed at once, and what lies above stays free for files.
final class Acceptor: Sendable {
    /// How long nothing is accepted when the process has no descriptor left at all.
    private static let pauseMilliseconds: Int32 = 100
    /// Connections accepted at one address before the others are looked at.
    private static let acceptedAtOnceMax = 64

    private let sockets: ListeningSockets
    private let descriptorsMax: Int32
    private let bell: Int32
    private let isOpen = Mutex(true)
    private let serve: @Sendable (_ listener: Int32, _ connection: Int32) -> Void
    private let refused: @Sendable () -> Void

    /// - Parameters:
    ///   - descriptorsMax: connections get descriptors below this number.
    ///   - serve: takes over a connection; called on the acceptor's thread, never after `close` has returned.
    ///   - refused: a connection was closed because there is no room.
    init(
        _ sockets: ListeningSockets, descriptorsMax: Int32, serve: @escaping @Sendable (Int32, Int32) -> Void,
        refused: @escaping @Sendable () -> Void
    ) {
        self.sockets = sockets
        self.descriptorsMax = descriptorsMax
        bell = cgrpc_bell_create()
        self.serve = serve
        self.refused = refused
    }

    deinit { if bell >= 0 { Glibc.close(bell) } }

    /// - Parameter ended: called on the last thread that uses the sockets, when they are closed.
    func start(ended: @escaping @Sendable () -> Void) {
        NativeThread.start("grpc-accept") {
            self.run()
            self.sockets.close()
            ended()
        }
    }

    /// Nothing is served from now on; the sockets are closed soon. Safe to repeat.
    func close() {
        isOpen.withLock { $0 = false }
        cgrpc_bell_ring(bell)
    }

    private func run() {
        let listening = sockets.descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let ringing = pollfd(fd: bell, events: Int16(POLLIN), revents: 0)
        var isPaused = false
        while isOpen.withLock({ $0 }) {
            var polled = isPaused ? [ringing] : [ringing] + listening
            _ = poll(&polled, nfds_t(polled.count), isPaused || bell < 0 ? Self.pauseMilliseconds : -1)
            isPaused = false
            for entry in polled.dropFirst() where entry.revents != 0 {
                if !accept(from: entry.fd) { isPaused = true }
            }
        }
    }

    /// False when there is no descriptor to accept with.
    private func accept(from listener: Int32) -> Bool {
        for _ in 0..<Self.acceptedAtOnceMax {
            let connection = cgrpc_accept(listener, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
            guard connection >= 0 else {
                switch errno {
                case EAGAIN: return true
                // What became of one connection does not concern the next.
                case EINTR, ECONNABORTED, EPROTO, EPERM, ENETDOWN, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ETIMEDOUT: continue
                default:
                    refused()
                    return false
                }
            }
            guard connection < descriptorsMax else {
                Glibc.close(connection)
                refused()
                continue
            }
            isOpen.withLock { isOpen in
                if isOpen { serve(listener, connection) } else { Glibc.close(connection) }
            }
        }
        return true
    }
}
