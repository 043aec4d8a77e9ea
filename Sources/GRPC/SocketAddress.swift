package import Glibc

/// An address of a socket, of any family.
package struct SocketAddress {
    private var storage = sockaddr_storage()
    private var length = socklen_t(MemoryLayout<sockaddr_storage>.size)

    package init?(copying address: UnsafePointer<sockaddr>, _ length: socklen_t) {
        guard length <= MemoryLayout<sockaddr_storage>.size else { return nil }
        self.length = length
        withUnsafeMutableBytes(of: &storage) { target in
            target.copyMemory(from: UnsafeRawBufferPointer(start: address, count: Int(length)))
        }
    }

    /// Where the socket is bound; nil when it is none.
    init?(of descriptor: Int32) {
        let isKnown = withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) == 0 }
        }
        guard isKnown else { return nil }
    }

    /// A Unix socket's file; nil when the path does not fit.
    init?(path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let isPlaced = withUnsafeMutableBytes(of: &address.sun_path) { target in
            let bytes = Array(path.utf8)
            guard !bytes.isEmpty, bytes.count < target.count, !bytes.contains(0) else { return false }
            target.copyBytes(from: bytes)
            return true
        }
        guard isPlaced else { return nil }
        self.init(address)
    }

    private init<Address>(_ address: Address) {
        length = socklen_t(MemoryLayout<Address>.size)
        withUnsafeMutableBytes(of: &storage) { target in
            withUnsafeBytes(of: address) { target.copyMemory(from: $0) }
        }
    }

    /// All addresses of the machine, IPv6 and IPv4.
    static func everywhere(_ port: UInt16) -> SocketAddress {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        return SocketAddress(address)
    }

    static func everywhereIPv4(_ port: UInt16) -> SocketAddress {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        return SocketAddress(address)
    }

    /// The addresses of a name or of an address in text; empty when there are none. Blocks while a name is looked up.
    package static func resolve(_ host: String, _ port: UInt16) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_PASSIVE
        var first: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &first) == 0 else { return [] }
        defer { freeaddrinfo(first) }
        return sequence(first: first, next: { $0?.pointee.ai_next }).prefix { $0 != nil }.compactMap { entry in
            guard let entry = entry?.pointee, let address = entry.ai_addr else { return nil }
            return SocketAddress(copying: address, entry.ai_addrlen)
        }
    }

    /// The host of `host:port`, without the brackets of IPv6, and the port; nil for anything else.
    package static func split(_ address: String) -> (host: String, port: UInt16)? {
        guard let colon = address.lastIndex(of: ":"), let port = UInt16(address[address.index(after: colon)...]) else {
            return nil
        }
        let host = address[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        let name = isBracketed ? host.dropFirst().dropLast() : host
        return name.isEmpty || (name.contains(":") && !isBracketed) ? nil : (String(name), port)
    }

    package var family: Int32 { Int32(storage.ss_family) }

    /// 0 for a Unix socket.
    package var port: UInt16 {
        get {
            switch family {
            case AF_INET: UInt16(bigEndian: cast(as: sockaddr_in.self).sin_port)
            case AF_INET6: UInt16(bigEndian: cast(as: sockaddr_in6.self).sin6_port)
            default: 0
            }
        }
        set {
            // Both families have it at the same place.
            guard family == AF_INET || family == AF_INET6 else { return }
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: newValue.bigEndian, toByteOffset: 2, as: UInt16.self) }
        }
    }

    /// The numbers of the address, of an IPv4 address in IPv6 form those of the IPv4 one; empty for a Unix socket.
    package var bytes: [UInt8] {
        switch family {
        case AF_INET: return withUnsafeBytes(of: cast(as: sockaddr_in.self).sin_addr) { Array($0) }
        case AF_INET6:
            let bytes = withUnsafeBytes(of: cast(as: sockaddr_in6.self).sin6_addr) { Array($0) }
            let isMapped = bytes.prefix(12) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
            return isMapped ? Array(bytes.dropFirst(12)) : bytes
        default: return []
        }
    }

    /// All addresses of the machine.
    package var isWildcard: Bool { !bytes.isEmpty && bytes.allSatisfy { $0 == 0 } }

    /// Reached from this machine alone.
    package var isLoopback: Bool {
        let bytes = bytes
        return bytes.isEmpty || (bytes.count == 4 ? bytes[0] == 127 : bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1)
    }

    /// Reached from the same link alone, and only with the name of an interface.
    package var isLinkLocal: Bool {
        let bytes = bytes
        return bytes.count == 16 && bytes[0] == 0xfe && bytes[1] & 0xc0 == 0x80
    }

    /// The address without its port, as text: `192.0.2.1` or `2001:db8::1`.
    package var host: String? {
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let code = lend { getnameinfo($0, $1, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) }
        return code == 0 ? text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } } : nil
    }

    /// Lends the address in C form.
    func lend<R>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> R) -> R {
        withUnsafePointer(to: storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }

    private func cast<Address>(as type: Address.Type) -> Address {
        withUnsafeBytes(of: storage) { $0.load(as: type) }
    }
}
