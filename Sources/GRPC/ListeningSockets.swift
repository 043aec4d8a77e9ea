import Glibc
import Synchronization

/// The sockets that listen at a server's address: one, or several where its name has several addresses. Nobody else can listen
/// there. Connections wait in the kernel until a server accepts them.
public final class ListeningSockets: Sendable {
    let descriptors: [Int32]
    /// 1 for a Unix socket.
    public let port: Int
    /// The file of a Unix socket.
    private let path: String?
    private let isOpen = Mutex(true)

    private init(descriptors: [Int32], port: Int, path: String?) {
        self.descriptors = descriptors
        self.port = port
        self.path = path
    }

    deinit { close() }

    /// Binds `address`, `host:port` or `unix:path`, and listens. A host that means all addresses listens for IPv6 and IPv4.
    /// - Throws: when the address is none, or somebody else listens there.
    public static func open(_ options: ServerOptions) throws(ListenError) -> ListeningSockets {
        // How long sent data may go without an acknowledgement before the kernel drops a connection.
        let (address, silence) = (options.address, options.keepaliveTimeout)
        if address.hasPrefix("unix:") { return try openFile(String(address.dropFirst("unix:".count)), address) }
        guard let (host, port) = SocketAddress.split(address) else {
            throw ListenError(address: address, reason: "it must be host:port with a port from 0 to 65535, or unix:path")
        }
        let resolved = SocketAddress.resolve(host, port)
        guard !resolved.isEmpty else { throw ListenError(address: address, reason: "\(host) has no address") }
        // Where there is no IPv6, all of IPv4 will do.
        let isWildcard = resolved.contains { $0.isWildcard }
        let wanted = isWildcard ? [SocketAddress.everywhere(port), .everywhereIPv4(port)] : resolved
        var descriptors: [Int32] = []
        var bound = port
        var failure: Int32 = 0
        for var candidate in wanted where !(isWildcard && !descriptors.isEmpty) {
            // The addresses of one name share the port that the first was given.
            candidate.port = bound
            guard let descriptor = listen(candidate, silence) else {
                failure = errno
                continue
            }
            descriptors.append(descriptor)
            bound = SocketAddress(of: descriptor)?.port ?? bound
        }
        guard !descriptors.isEmpty else { throw ListenError(address: address, reason: reason(failure)) }
        return ListeningSockets(descriptors: descriptors, port: Int(bound), path: nil)
    }

    /// Safe to repeat.
    func close() {
        let wasOpen = isOpen.withLock { isOpen in
            defer { isOpen = false }
            return isOpen
        }
        guard wasOpen else { return }
        for descriptor in descriptors { Glibc.close(descriptor) }
        if let path { unlink(path) }
    }

    private static func openFile(_ path: String, _ address: String) throws(ListenError) -> ListeningSockets {
        let path = path.hasPrefix("//") ? String(path.dropFirst(2)) : path
        guard let candidate = SocketAddress(path: path) else {
            throw ListenError(address: address, reason: "the path is empty or longer than a socket's may be")
        }
        // What an earlier server left behind would be in the way.
        if isAbandoned(path, candidate) { unlink(path) }
        guard let descriptor = listen(candidate, .zero) else { throw ListenError(address: address, reason: reason(errno)) }
        return ListeningSockets(descriptors: [descriptor], port: 1, path: path)
    }

    /// Whether the file is a socket that nobody listens at.
    private static func isAbandoned(_ path: String, _ address: SocketAddress) -> Bool {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return false }
        let probe = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard probe >= 0 else { return false }
        defer { Glibc.close(probe) }
        return address.lend { connect(probe, $0, $1) } != 0 && errno == ECONNREFUSED
    }

    /// Nil, with `errno`, when it cannot listen there.
    private static func listen(_ address: SocketAddress, _ silence: Duration) -> Int32? {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = socket(address.family, type, 0)
        guard descriptor >= 0 else { return nil }
        if address.family != AF_UNIX {
            set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1)
            // Connections have these from the socket that accepts them.
            set(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
            set(descriptor, Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, silence.milliseconds)
        }
        if address.family == AF_INET6 { set(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, address.isWildcard ? 0 : 1) }
        let isListening = address.lend { bind(descriptor, $0, $1) == 0 } && Glibc.listen(descriptor, SOMAXCONN) == 0
        guard !isListening else { return descriptor }
        let failure = errno
        Glibc.close(descriptor)
        errno = failure
        return nil
    }

    /// One that the kernel does not know is done without.
    private static func set(_ descriptor: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    private static func reason(_ code: Int32) -> String {
        switch code {
        case EADDRINUSE: "it is in use"
        case EADDRNOTAVAIL: "it is not an address of this machine"
        default: String(cString: strerror(code))
        }
    }
}
