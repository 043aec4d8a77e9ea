import CommandLineTool
import Foundation
import GRPC
import Protobuf
import SiloAPI

/// A command that failed, in words for the terminal.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text }
}

/// One server, and the way from it to those that hold the shards.
struct Server {
    private let channel: Channel
    private let arguments: Arguments
    private let headers: Metadata

    init(_ arguments: Arguments, address: String? = nil) throws {
        self.arguments = arguments
        var target = address ?? arguments.text("address", default: "http://localhost:7450")
        for scheme in ["http://", "https://"] where target.hasPrefix(scheme) { target.removeFirst(scheme.count) }
        var options = ChannelOptions()
        if let path = arguments.text("tls-ca") {
            guard let authority = FileManager.default.contents(atPath: path) else { throw Failure("cannot read \(path)") }
            options.tls = ClientTLS(rootCA: [UInt8](authority))
        }
        channel = Channel(target: target, options)
        var headers = Metadata()
        if let token = arguments.text("auth-token") ?? ProcessInfo.processInfo.environment["SILO_AUTH_TOKEN"] {
            headers.append("authorization", "Bearer \(token)")
        }
        self.headers = headers
    }

    func call<Request: Message, Response: Message>(_ method: Method<Request, Response>, _ request: Request) async throws -> Response {
        let bytes: [UInt8]
        do {
            bytes = try await channel.unary(method.path, request.serializedBytes(), metadata: headers)
        } catch {
            throw Failure("\(error)")
        }
        return try Response(serializedBytes: bytes)
    }

    func clusterInfo() async throws -> SiloV1.GetClusterInfoResponse { try await call(SiloV1.Silo.getClusterInfo, .init()) }

    /// The server that holds a shard: this one, or another.
    func owner(of shard: String) async throws -> Server {
        let info = try await clusterInfo()
        guard let owner = info.shardOwners.first(where: { $0.shardId.lowercased() == shard.lowercased() }) else {
            throw Failure("shard `\(shard)` not found in cluster; siloctl cluster info lists the shards")
        }
        guard !owner.grpcAddr.isEmpty else {
            let rings = Set(info.members.flatMap { $0.placementRings.isEmpty ? ["default"] : $0.placementRings }).sorted()
            let advertised = rings.isEmpty ? "(none)" : rings.joined(separator: ", ")
            throw Failure(
                "shard `\(shard)` has no owner; its placement ring `\(owner.placementRing ?? "default")` has no members "
                    + "(members advertise: \(advertised))"
            )
        }
        return owner.grpcAddr == info.thisGrpcAddr ? self : try Server(arguments, address: owner.grpcAddr)
    }
}
