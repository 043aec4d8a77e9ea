import SiloCore
import SiloStore

/// A shard as one scan of a statement reads it.
struct ScannedShard: Sendable {
    /// Its place among the statement's shards.
    let number: Int
    let id: ShardID
    let range: ShardRange
    let moment: Moment
    let reader: CountedReader
}

/// Where the rows of one shard come from: the seam behind which a shard may be of another node.
protocol PageSource<Element>: AnyObject, Sendable {
    associatedtype Element: Sendable
    /// Never empty; nil: there is nothing more.
    func next() async throws(StoreError) -> [Element]?
}

/// What a scan asks of one shard.
struct ShardScan<Element: Sendable>: Sendable {
    let id: ShardID
    let pages: any PageSource<Element>
}

/// How many rows to ask the store for at once: few at first, more while they are small.
struct PageSize {
    private(set) var rows: Int
    private static let rowsMax = 2048
    private static let bytesGoal = 512 << 10

    /// - Parameter wanted: rows that are wanted at all.
    init(wanted: Int?) { rows = max(1, min(wanted ?? 16, 256)) }

    mutating func note(bytes: Int) {
        if bytes > 2 * Self.bytesGoal { rows = max(1, rows / 4) }
        if bytes < Self.bytesGoal { rows = min(Self.rowsMax, rows * 4) }
    }
}
