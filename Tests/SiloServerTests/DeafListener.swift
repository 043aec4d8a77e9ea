import Glibc
import TestSupport
import Testing

/// Accepts one connection, says nothing on it, and is gone: what a client meets whose server is just coming up.
final class DeafListener: Sendable {
    private let listener: Int32
    let port: Int

    init() throws {
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var isShared: Int32 = 1
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &isShared, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) { [listener] pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && getsockname(listener, $0, &size) == 0 && listen(listener, 8) == 0
            }
        }
        try #require(isBound)
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    /// Returns when somebody came; from then on nobody listens there.
    func hangUpOnOne() async {
        await onThread { [listener] in
            let peer = accept(listener, nil, nil)
            close(listener)
            // With a reset, so that the address is free at once.
            var atOnce = linger(l_onoff: 1, l_linger: 0)
            setsockopt(peer, SOL_SOCKET, SO_LINGER, &atOnce, socklen_t(MemoryLayout<linger>.size))
            close(peer)
        }
    }
}
