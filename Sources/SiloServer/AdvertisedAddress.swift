import Foundation
import GRPC

/// What clients are told to call: `host:port`.
struct AdvertisedAddress: Equatable {
    let text: String
    /// The server listens everywhere and was told nothing: it chose for itself, and may be wrong.
    var isGuess = false

    /// - Parameters:
    ///   - listening: `host:port`, with the port that is really listened on.
    ///   - given: what the operator says.
    init(listening: String, given: String?, machine: MachineNames = .this) {
        let host = Self.host(of: listening)
        guard given == nil, !listening.hasPrefix("unix:"), Self.isEverywhere(host) else {
            text = given ?? listening
            return
        }
        let port = listening[(listening.lastIndex(of: ":") ?? listening.endIndex)...]
        let chosen = machine.reachable
        text = (chosen.contains(":") ? "[\(chosen)]" : chosen) + port
        isGuess = true
    }

    /// Refuses what nobody could call.
    static func check(_ given: String, from setting: String) throws(StartError) {
        guard !given.hasPrefix("unix:") else { return }
        guard let (_, port) = SocketAddress.split(given), port > 0, !given.contains("/") else {
            throw StartError(
                "\(setting) must be host:port with a port from 1 to 65535, such as silo.example:7450 or [2001:db8::1]:7450, "
                    + "not \(given)",
                mistaken: "coordination.advertised_grpc_addr"
            )
        }
    }

    /// Without the port, and without the brackets of an IPv6 address.
    var host: String { Self.host(of: text) }

    static func host(of address: String) -> String {
        let host = address[..<(address.lastIndex(of: ":") ?? address.endIndex)]
        return String(host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host)
    }

    /// Whether the host means every address of the machine.
    static func isEverywhere(_ host: String) -> Bool { SocketAddress.resolve(host, 0).contains(where: \.isWildcard) }

    /// Whether nobody beyond this machine reaches the address.
    static func isLocal(_ address: String) -> Bool {
        address.hasPrefix("unix:") || SocketAddress.resolve(host(of: address), 0).allSatisfy(\.isLoopback)
    }
}

/// What this machine is called.
struct MachineNames {
    let name: String
    /// Whether other machines may reach it by that name: it has an address that is not of the machine alone.
    let isNameUseful: Bool
    /// The addresses of its interfaces but for loopback, in text, in the order of the interfaces.
    let addresses: [String]

    /// The name, else the first address, else this machine alone.
    var reachable: String { isNameUseful ? name : addresses.first ?? "127.0.0.1" }

    static var this: MachineNames {
        let name = ProcessInfo.processInfo.hostName
        return MachineNames(
            name: name, isNameUseful: SocketAddress.resolve(name, 0).contains { !$0.isLoopback }, addresses: interfaceAddresses
        )
    }

    private static var interfaceAddresses: [String] {
        var first: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&first) == 0 else { return [] }
        defer { freeifaddrs(first) }
        return sequence(first: first, next: { $0?.pointee.ifa_next }).prefix { $0 != nil }.compactMap { entry in
            guard let entry = entry?.pointee, let address = entry.ifa_addr, entry.ifa_flags & UInt32(IFF_UP) != 0 else {
                return nil
            }
            let length: Int
            switch Int32(address.pointee.sa_family) {
            case AF_INET: length = MemoryLayout<sockaddr_in>.size
            case AF_INET6: length = MemoryLayout<sockaddr_in6>.size
            default: return nil
            }
            guard let found = SocketAddress(copying: address, socklen_t(length)), !found.isLoopback, !found.isLinkLocal else {
                return nil
            }
            return found.host
        }
    }
}
