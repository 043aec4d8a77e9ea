import CommandLineTool
import Foundation
import GRPC
import Protobuf
import SiloAPI
import SiloCore

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
            throw Failure("\(error)\(Self.advice(on: error))")
        }
        return try Response(serializedBytes: bytes)
    }

    /// What to do about a refusal, where that is not plain from it.
    private static func advice(on status: Status) -> String {
        switch status.code {
        case .unauthenticated: "; --auth-token or SILO_AUTH_TOKEN in the environment gives the servers' secret"
        case .invalidArgument where status.message == "tenant id required": "; name the tenant with --tenant"
        case .failedPrecondition where status.message.hasPrefix("tenant must not be provided"): "; leave --tenant out"
        case .unavailable where status.message.contains("connect"): "; start a server there, or name another with --address"
        default: ""
        }
    }

    func clusterInfo() async throws -> SiloV1.GetClusterInfoResponse { try await call(SiloV1.Silo.getClusterInfo, .init()) }

    /// The shard of a tenant, by its id.
    func shard(of tenant: String?) async throws -> String { try await clusterInfo().shard(of: tenant) }

    /// The server that holds a shard: this one, or another.
    func owner(of shard: String) async throws -> Server { try owner(of: shard, try await clusterInfo()) }

    /// The same, by what the cluster said of itself.
    func owner(of shard: String, _ info: SiloV1.GetClusterInfoResponse) throws -> Server {
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

extension SiloV1.GetClusterInfoResponse {
    /// The shard of a tenant, by its id; nil is the tenant of servers with tenancy off.
    func shard(of tenant: String?) throws -> String {
        let hash = Tenant(tenant ?? Tenant.none.name).hash
        let owner = shardOwners.first { owner in
            ShardRange(start: TenantHash(text: owner.rangeStart), end: TenantHash(text: owner.rangeEnd)).contains(hash)
        }
        guard let owner else { throw Failure("no shard holds the tenant; siloctl cluster info lists the shards") }
        return owner.shardId
    }
}
