public import SiloCore

extension ShardKeys {
    private static let bulkPrefix: Bytes = [0x01, 0x07]

    /// An action on many jobs, and how far it has come.
    public static func bulk(_ id: BulkID) -> Bytes { bulkPrefix + id.uuid.bytes }

    /// Every such action.
    public static let bulks: (start: Bytes, end: Bytes) = (bulkPrefix, [0x01, 0x08])

    /// Nil: it is none.
    public static func parseBulk(_ key: Bytes) -> BulkID? {
        guard key.starts(with: bulkPrefix) else { return nil }
        return UUID(bytes: Bytes(key.dropFirst(bulkPrefix.count))).map { BulkID($0) }
    }
}
