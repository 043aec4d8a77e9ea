import Glibc

/// A connection whose bytes a test writes and reads itself.
public final class RawConnection: Sendable {
    public let descriptor: Int32

    public struct Failure: Error { public let code: Int32 }

    /// - Parameter source: the address of this machine that it comes from.
    public init(to port: Int, from source: String = "127.0.0.1", receiveBytes: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(code: errno) }
        if var receiveBytes {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receiveBytes, socklen_t(MemoryLayout<Int32>.size))
        }
        var own = Self.address(source, 0)
        var server = Self.address("127.0.0.1", UInt16(port))
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isConnected = withUnsafeMutablePointer(to: &own) { own in
            own.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) == 0 }
        } && withUnsafeMutablePointer(to: &server) { server in
            server.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, size) == 0 }
        }
        guard isConnected else {
            let code = errno
            close(descriptor)
            throw Failure(code: code)
        }
    }

    deinit { close(descriptor) }

    private static func address(_ host: String, _ port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr(host)
        return address
    }

    /// False when the other side has closed it.
    @discardableResult
    public func send(_ text: String) -> Bool {
        text.withCString { Glibc.send(descriptor, $0, strlen($0), Int32(MSG_NOSIGNAL)) == strlen($0) }
    }

    /// What has come until the other side closes it, or as many bytes.
    public func read(_ most: Int = .max) async -> [UInt8] {
        await onThread { [self] in
            var all: [UInt8] = []
            var part = [UInt8](repeating: 0, count: 65_536)
            while all.count < most {
                let count = recv(descriptor, &part, min(part.count, most - all.count), 0)
                guard count > 0 else { break }
                all += part[..<count]
            }
            return all
        }
    }

    public func readText() async -> String { String(decoding: await read(), as: UTF8.self) }
}
