import CommandLineTool
import Foundation
import GRPC
import Protobuf
import SiloAPI
import SiloCore

/// A command that failed, in words for the terminal: one line, whatever a server put into it.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text.printable }
}

/// One server, and the way from it to those that hold the shards.
struct Server {
    private let channel: Channel
    private let arguments: Arguments
    private let headers: Metadata

    init(_ arguments: Arguments, address: String? = nil) throws {
        self.arguments = arguments
        let text = address ?? arguments.text("address", default: "http://localhost:7450")
        var options = ChannelOptions()
        // A server that vanished without a word is noticed.
        options.keepaliveInterval = .seconds(10)
        options.keepaliveTimeout = .seconds(5)
        let place: ServerAddress
        do throws(ServerAddress.Mistake) {
            place = try ServerAddress(text)
            options.tls = try Self.tls(arguments, place, isLearnt: address != nil)
        } catch {
            throw Arguments.Mistake(address == nil ? "--address: \(error)" : "a server names itself \(text): \(error)")
        }
        channel = Channel(target: place.target, options)
        var headers = Metadata()
        if let token = try Self.token(arguments) { headers.append("authorization", "Bearer \(token)") }
        self.headers = headers
    }

    /// How to speak to a server: as the command line says; where the first server is spoken to with TLS, so are all others.
    private static func tls(
        _ arguments: Arguments, _ place: ServerAddress, isLearnt: Bool
    ) throws(ServerAddress.Mistake) -> ClientTLS? {
        var given: ClientTLS?
        if let path = arguments.text("tls-ca") {
            guard let authority = FileManager.default.contents(atPath: path) else {
                throw ServerAddress.Mistake(description: "cannot read \(path), which --tls-ca names")
            }
            given = ClientTLS(rootCA: [UInt8](authority))
        }
        guard isLearnt else { return try place.tls(given) }
        let isSecure = place.isSecure == true || (try? ServerAddress(arguments.text("address", default: "")))?.isSecure == true
        return given ?? (isSecure ? ClientTLS() : nil)
    }

    /// The secret: of the file, the command line or the environment.
    private static func token(_ arguments: Arguments) throws -> String? {
        let given = arguments.text("auth-token")
        guard let path = arguments.text("auth-token-file") else {
            return given ?? ProcessInfo.processInfo.environment["SILO_AUTH_TOKEN"]
        }
        guard given == nil else { throw Arguments.Mistake("--auth-token and --auth-token-file exclude each other") }
        guard let content = FileManager.default.contents(atPath: path) else {
            throw Failure("cannot read \(path), which --auth-token-file names")
        }
        let token = String(decoding: content, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw Failure("\(path) must hold the secret and nothing else: one line of visible ASCII characters")
        }
        return token
    }

    func call<Request: Message, Response: Message>(_ method: Method<Request, Response>, _ request: Request) async throws
        -> Response
    {
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
        case .unauthenticated: "; --auth-token-file or SILO_AUTH_TOKEN in the environment gives the servers' secret"
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
