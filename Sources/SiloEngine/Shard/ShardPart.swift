import Protobuf
import SiloCore
public import SiloStore

/// Slices of a closed shard that go into another: cut off it, or joined to those of its neighbour.
public struct ShardPart: Sendable {
    let reader: any StoreReader
    let slices: ClosedRange<Slice>

    /// - Parameter reader: of the shard's whole database, which nobody writes any more.
    public init(_ reader: any StoreReader, _ slices: ClosedRange<Slice>) {
        self.reader = reader
        self.slices = slices
    }

    /// What a shard made of these parts needs besides the rows of their slices: what is shard-wide, made anew.
    ///
    /// Written once, before the new shard is opened; writing it again changes nothing. Siblings go on from one clock, so that
    /// lengths of time mean the same in all of them.
    /// - Parameter parts: in any order. Their slices do not overlap.
    /// - Throws: `.corrupt` when a part is of another format.
    public static func shardWideRows(of parts: [ShardPart]) async throws(StoreError) -> [Write] {
        var info: StorageV1.ShardInfo?
        var slices = SliceSet()
        var pauses: [Bytes: Bytes] = [:]
        var actions: [Bytes: StorageV1.BulkAction] = [:]
        for part in parts {
            let own = try await part.info()
            info = info.map { $0.joined(own) } ?? own
            for slice in try await ShardMemory.slices(in: part.reader).slices where part.slices.contains(slice) {
                slices.insert(slice)
            }
            try await part.reader.scanAll(from: ShardKeys.pauses.start, to: ShardKeys.pauses.end) { row throws(StoreError) in
                pauses[row.key] = row.value
            }
            for (key, action) in try await part.bulkActions() { actions[key] = actions[key].map { $0.joined(action) } ?? action }
        }
        guard let info else { return [] }
        return [
            Write(key: ShardKeys.info, value: info.serializedBytes()), Write(key: ShardKeys.slices, value: slices.stored),
        ] + pauses.map { Write(key: $0.key, value: $0.value) }
            + actions.map { Write(key: $0.key, value: $0.value.serializedBytes()) }
    }

    /// The part's share of what is being done to many jobs. The first slice that holds anything takes the counts along.
    private func bulkActions() async throws(StoreError) -> [Bytes: StorageV1.BulkAction] {
        let first = try await ShardMemory.slices(in: reader).slices.first ?? slices.lowerBound
        var actions: [Bytes: StorageV1.BulkAction] = [:]
        try await reader.scanAll(from: ShardKeys.bulks.start, to: ShardKeys.bulks.end) { row throws(StoreError) in
            let action = try? StorageV1.BulkAction(serializedBytes: row.value)
            actions[row.key] = action?.part(of: slices, keepsCounts: slices.contains(first))
        }
        return actions
    }

    private func info() async throws(StoreError) -> StorageV1.ShardInfo {
        guard let bytes = try await reader.get(ShardKeys.info) else { throw .corrupt("the shard does not say what it is") }
        let info = try StorageV1.ShardInfo(stored: bytes)
        guard info.formatVersion == ShardKeys.formatVersion else { throw .corrupt("the shard has format \(info.formatVersion)") }
        return info
    }
}

extension StorageV1.ShardInfo {
    /// What both say, for the shard that takes the place of two: newcomers stand behind the jobs of both.
    fileprivate func joined(_ other: StorageV1.ShardInfo) -> StorageV1.ShardInfo {
        var both = other.steadyMs - other.wallMs > steadyMs - wallMs ? other : self
        both.createdAtMs = min(createdAtMs, other.createdAtMs)
        both.arrivalsFrom = max(arrivalsFrom, other.arrivalsFrom)
        return both
    }
}
