import SiloCore
import SiloService
import SlateDB

extension DataLocation: StorageOperator {
    func submitFullCompaction(of shard: ShardID) async throws(StorageError) {
        _ = try await admin(shard.description).submitFullCompaction()
    }

    func manifest(of shard: ShardID) async throws(StorageError) -> Manifest? {
        try await admin(shard.description).manifest()
    }

    func checkpoints(of shard: ShardID) async throws(StorageError) -> [Admin.Checkpoint] {
        try await admin(shard.description).allCheckpoints()
    }
}
