import GRPC
import Protobuf
import SiloAPI
import SiloClient
import SiloCore
import SiloServer
import SiloTesting

/// Calls servers without the client library: what it does not offer, and what no good client does.
struct Caller: Sendable {
    private let world: World

    init(_ world: World) {
        self.world = world
    }

    /// One call at the node that was started last, without repetition.
    func call<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, _ request: Request, timeout: Duration = .seconds(5)
    ) async throws -> Response {
        let address = world.node?.address ?? World.addresses[0]
        let bytes = try await world.wire.transport(to: address).unary(
            method.path, request.serializedBytes(), metadata: Metadata(), timeout: timeout
        )
        return try Response(serializedBytes: bytes)
    }

    /// The same until it is answered, or refused for good; nil then.
    func insist<Request: Message, Response: Message>(_ method: Method<Request, Response>, _ request: Request) async -> Response? {
        for _ in 0..<200 {
            do {
                return try await call(method, request)
            } catch let status as Status where [.unavailable, .deadlineExceeded, .resourceExhausted].contains(status.code) {
                try? await world.clock.sleep(milliseconds: 500)
            } catch {
                return nil
            }
        }
        return nil
    }

    func shards() async -> [SiloV1.ShardOwner] {
        await insist(SiloV1.Silo.getClusterInfo, SiloV1.GetClusterInfoRequest())?.shardOwners ?? []
    }

    /// The shard of a tenant.
    func shard(of tenant: String) async -> String {
        let hash = Tenant(tenant).hash
        return await shards().first {
            ShardRange(start: TenantHash(text: $0.rangeStart), end: TenantHash(text: $0.rangeEnd)).contains(hash)
        }?.shardId ?? ""
    }
}
