public import SiloCore
public import SiloStore

extension StoredJob {
    /// A job's rows on one consistent view, beside the shard's loop. Nil when the job does not exist.
    public static func read(
        _ id: JobID, _ keys: TenantKeys, from reader: any StoreReader
    ) async throws(StoreError) -> StoredJob? {
        try await read(id, keys) { key throws(StoreError) in try await reader.get(key) }
    }
}
