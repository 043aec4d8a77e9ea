import Foundation
import GRPC
import TestSupport
import Testing

@testable import SiloServer

@Suite(.timeLimit(.minutes(10))) struct ReflectionTests {
    /// Anybody may open one, and there are few.
    @Test func anIdleStreamIsEnded() async throws {
        var options = ServerOptions(address: "127.0.0.1:0")
        // The peer here answers no pings.
        options.keepaliveInterval = .seconds(3600)
        let server = Server(options)
        Reflection(idleMax: .milliseconds(300)).register(on: server)
        let port = try server.start()
        let begun = ContinuousClock.now
        let statuses = await onThread { Self.openStream(port) }
        #expect(statuses.contains("grpc-status4"), "DEADLINE_EXCEEDED: \(statuses)")
        #expect(.now - begun >= .milliseconds(300))
        await server.shutdown(grace: .zero)
        #expect(server.runningCalls == 0)
    }

    /// Opens a stream by hand, sends nothing on it, and gives what the server says until it ends the stream.
    private static func openStream(_ port: Int) -> String {
        func frame(_ type: UInt8, _ flags: UInt8, _ stream: UInt8, _ body: [UInt8] = []) -> [UInt8] {
            [0, UInt8(body.count >> 8), UInt8(body.count & 0xff), type, flags, 0, 0, 0, stream] + body
        }
        func header(_ name: String, _ value: String) -> [UInt8] {
            [0, UInt8(name.utf8.count)] + name.utf8 + [UInt8(value.utf8.count)] + value.utf8
        }
        let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        let headers = header(":method", "POST") + header(":scheme", "http") + header(":path", path) + header(":authority", "x")
            + header("te", "trailers") + header("content-type", "application/grpc")
        let bytes = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(4, 0, 0) + frame(4, 1, 0) + frame(1, 4, 1, headers)

        let peer = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(peer) }
        var patience = timeval(tv_sec: 300, tv_usec: 0)
        setsockopt(peer, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = UInt16(port).bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let isConnected = withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(peer, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isConnected, write(peer, bytes, bytes.count) == bytes.count else { return "not connected" }
        var said: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4096)
        while !printable(said).contains("grpc-status") {
            let count = read(peer, &part, part.count)
            guard count > 0 else { break }
            said += part[..<count]
        }
        return printable(said)
    }

    private static func printable(_ bytes: [UInt8]) -> String {
        String(decoding: bytes.filter { 0x20..<0x7f ~= $0 }, as: UTF8.self)
    }
}
