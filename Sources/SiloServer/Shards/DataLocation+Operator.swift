import SiloCore
import SiloService
import SlateDB

extension DataLocation: StorageOperator {
    func admin(of shard: ShardID) throws(StorageError) -> Admin { try admin(shard.description) }

    func manifest(of shard: ShardID) async throws(StorageError) -> Manifest? {
        try await admin(shard.description).manifest()
    }

    func checkpoints(of shard: ShardID) async throws(StorageError) -> [Admin.Checkpoint] {
        try await admin(shard.description).allCheckpoints()
    }
}
