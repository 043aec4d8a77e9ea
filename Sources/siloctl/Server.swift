import CommandLineTool
import Foundation
import GRPC
import Protobuf
import SiloAPI
import SiloClient
import SiloCore

/// A command that failed, in words for the terminal: one line, whatever a server put into it.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text.printable }
}

/// The way to the servers: to any of them, or to the one that holds a shard.
struct Server {
    private let router: Router
    private let target: Target

    init(_ arguments: Arguments) throws {
        let text = arguments.text("address", default: "http://localhost:7450")
        var options = ClientOptions(servers: [text])
        options.seedsAreServers = true
        // Whoever waits at the terminal decides how long; a server that vanished is noticed all the same.
        options.timeout = nil
        options.retriesMax = 2
        let authority = try Self.authority(arguments)
        do throws(ServerAddress.Mistake) {
            options.tls = try ServerAddress(text).tls(authority)
        } catch {
            throw Arguments.Mistake("--address: \(error)")
        }
        options.token = try Self.token(arguments)
        router = Router(options)
        target = .anywhere
    }

    private init(_ router: Router, _ target: Target) {
        self.router = router
        self.target = target
    }

    /// The authority that the command line names; where the first server is spoken to with TLS, so are all others.
    private static func authority(_ arguments: Arguments) throws -> ClientTLS? {
        guard let path = arguments.text("tls-ca") else { return nil }
        let pem = try InputFile.read(path, as: "--tls-ca")
        guard String(decoding: pem, as: UTF8.self).contains("-----BEGIN CERTIFICATE-----") else {
            throw Failure("--tls-ca: \(path) holds no certificate in PEM form")
        }
        return ClientTLS(rootCA: pem)
    }

    /// The secret: of the file, the command line or the environment.
    private static func token(_ arguments: Arguments) throws -> String? {
        let given = arguments.text("auth-token")
        guard let path = arguments.text("auth-token-file") else {
            return given ?? ProcessInfo.processInfo.environment["SILO_AUTH_TOKEN"]
        }
        guard given == nil else {
            throw Arguments.Mistake("--auth-token and --auth-token-file exclude each other: give one of them")
        }
        let content = try InputFile.read(path, as: "--auth-token-file")
        let token = String(decoding: content, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw Failure("--auth-token-file: \(path) must hold the secret and nothing else: one line of visible ASCII")
        }
        return token
    }

    /// Sends a request once; again when it went to a server that does not hold the shard any more, which then did nothing.
    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request
    ) async throws -> Response {
        try await failing { () throws(Status) in
            try await router.call(method, to: target, .whenMisdirected) { _ in request }
        }
    }

    private func failing<Answer>(_ ask: () async throws(Status) -> Answer) async throws -> Answer {
        do throws(Status) { return try await ask() } catch { throw Failure("\(error)\(Self.advice(on: error))") }
    }

    /// What to do about a refusal, where that is not plain from it.
    private static func advice(on status: Status) -> String {
        switch status.code {
        case .unauthenticated: "; --auth-token-file or SILO_AUTH_TOKEN in the environment gives the servers' secret"
        case .invalidArgument where status.message == "tenant id required": "; name the tenant with --tenant"
        case .failedPrecondition where status.message.hasPrefix("tenant must not be provided"): "; leave --tenant out"
        case .unavailable where status.message.contains("wrong version number"):
            "; the server there does not speak TLS: try http:// in --address"
        case .unavailable where status.message.contains("certificate verify failed"):
            "; --tls-ca names the authority that its certificate is of"
        case .unavailable where status.message.contains("Socket closed"):
            "; if the server there speaks TLS, try https:// in --address"
        case .unavailable where status.message.hasPrefix("empty address list"):
            "; --tls-ca names a file whose certificates cannot be used"
        case .unavailable where status.message.contains("connect"): "; start a server there, or name another with --address"
        default: ""
        }
    }

    func clusterInfo() async throws -> SiloV1.GetClusterInfoResponse {
        try await failing { () throws(Status) in try await router.topology().info }
    }

    /// The shard of a tenant, by its id.
    func shard(of tenant: String?) async throws -> String { try await clusterInfo().shard(of: tenant) }

    /// The server that holds a shard.
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
        return Server(router, .shard(owner.shardId))
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
