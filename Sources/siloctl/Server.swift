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
    /// Nobody answers now; later somebody may.
    let isPassing: Bool

    init(_ text: String, isPassing: Bool = false) {
        description = text.printable
        self.isPassing = isPassing
    }
}

/// Several things that are wrong, a line each.
struct Failures: Error, CustomStringConvertible {
    private let texts: [String]

    init(_ texts: [String]) { self.texts = texts.map(\.printable) }

    var description: String { texts.joined(separator: "\n") }
}

/// The way to the servers: to any of them, or to the one that holds a shard.
struct Server {
    private let router: Router
    private let target: Target
    /// Nil: nothing is said while one waits.
    private let notice: Notice?

    /// - Parameter patience: how long a call may take; nil: whoever waits at the terminal decides, and is told what for. A server
    ///   that vanished is noticed all the same.
    init(_ arguments: Arguments, patience: Duration? = nil) throws {
        let place = try ServerPlace(arguments)
        var options = ClientOptions(servers: [place.address])
        options.seedsAreServers = true
        options.timeout = patience
        options.retriesMax = 2
        options.tls = place.tls
        options.token = place.token
        router = Router(options)
        target = .anywhere
        notice = patience == nil ? Notice(address: place.address) : nil
    }

    private init(_ router: Router, _ target: Target, _ notice: Notice?) {
        self.router = router
        self.target = target
        self.notice = notice
    }

    /// Ends its connections.
    func close() { router.close() }

    /// Sends a request once; again when it went to a server that does not hold the shard any more, which then did nothing.
    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request
    ) async throws -> Response {
        try await failing { () throws(Status) in
            try await router.call(method, to: target, .whenMisdirected) { _ in request }
        }
    }

    /// Sends a request that is answered by a stream.
    func stream<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request
    ) async throws -> ResponseStream<Response> {
        try await failing { () throws(Status) in try await router.stream(method, to: target, .whenMisdirected, request) }
    }

    /// Does what may fail as a call does, and says why in words for the terminal.
    func failing<Answer>(_ ask: () async throws(Status) -> Answer) async throws -> Answer {
        do throws(Status) { return try await ask() } catch {
            throw Failure("\(error)\(Self.advice(on: error))", isPassing: error.code == .unavailable)
        }
    }

    /// What to do about a refusal, where that is not plain from it.
    private static func advice(on status: Status) -> String {
        switch status.code {
        case .unauthenticated: "; --auth-token-file or SILO_AUTH_TOKEN in the environment gives your token"
        case .invalidArgument where status.message == "tenant id required": "; name the tenant with --tenant"
        case .failedPrecondition where status.message.hasPrefix("tenant must not be provided"): "; leave --tenant out"
        case .unavailable where status.message.contains("wrong version number"):
            "; the server there does not speak TLS: try http:// in --address"
        case .unavailable where status.message.contains("is not in peer certificate"):
            "; the server's certificate does not name this address: use a name that it has in --address, or give the server "
                + "a certificate that names this one"
        case .unavailable where status.message.contains("certificate verify failed"):
            "; --tls-ca names the authority that its certificate is of"
        case .unavailable where status.message.contains("Socket closed"):
            "; if the server there speaks TLS, try https:// in --address"
        case .unavailable where status.message.hasPrefix("empty address list"):
            "; --tls-ca names a file whose certificates cannot all be used"
        case .unavailable where status.message.contains("connect"): "; start a server there, or name another with --address"
        case .unimplemented: "; this server cannot do that yet"
        default: ""
        }
    }

    func clusterInfo() async throws -> SiloV1.GetClusterInfoResponse {
        func ask() async throws -> SiloV1.GetClusterInfoResponse {
            try await failing { () throws(Status) in try await router.topology().info }
        }
        return if let notice { try await notice.whileWaiting(ask) } else { try await ask() }
    }

    /// The server of the shard that is named, or else of the tenant's, and that shard's id.
    func owner(of shard: String?, orOf tenant: String?) async throws -> (server: Server, shard: String) {
        let info = try await clusterInfo()
        let shard = try shard ?? info.shard(of: tenant)
        return (try owner(of: shard, info), shard)
    }

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
        return Server(router, .shard(owner.shardId), notice)
    }
}

extension SiloV1.GetClusterInfoResponse {
    /// The shard of a tenant, by its id; nil is the tenant of servers with tenancy off.
    func shard(of tenant: String?) throws -> String { try owner(of: tenant ?? Tenant.none.name).shardId }

    func owner(of tenant: String) throws -> SiloV1.ShardOwner {
        let hash = Tenant(tenant).hash
        let owner = shardOwners.first { owner in
            ShardRange(start: TenantHash(text: owner.rangeStart), end: TenantHash(text: owner.rangeEnd)).contains(hash)
        }
        guard let owner else { throw Failure("no shard holds the tenant; siloctl cluster info lists the shards") }
        return owner
    }
}
