import GRPC
import SiloClient

extension Topology {
    /// Where the shards of the cluster are that `address` belongs to. At least one has an owner.
    static func of(_ address: String, authToken: String? = nil) async throws(Failure) -> Topology {
        var options = ClientOptions(servers: [address])
        options.token = authToken
        let router = Router(options)
        defer { router.close() }
        let topology: Topology
        do throws(Status) { topology = try await router.topology() } catch { throw Failure("\(error)") }
        guard !topology.shards.isEmpty else { throw Failure("no shard of the cluster has an owner") }
        return topology
    }
}
