import Protobuf
import SiloCore
import SiloStore

/// What the shard's database says of itself, and what of it is to be written.
struct InfoRow {
    private var record: StorageV1.ShardInfo
    private var isDirty = false
    /// The batch that is being made stores the end of a length of time.
    var storesDelays = false
    private var arrivals: UInt64

    private static let arrivalsBlock: UInt64 = 1 << 20

    init(_ record: StorageV1.ShardInfo) {
        self.record = record
        arrivals = record.arrivalsFrom
    }

    /// Where a new job stands among those that came: behind all of them, whatever the clock says and whoever opened the shard.
    ///
    /// Numbers are set aside by the block, so that one row is written for very many jobs. When the shard is opened anew, those
    /// that are left of a block are passed over.
    mutating func nextArrival() -> UInt64 {
        if arrivals >= record.arrivalsFrom {
            record.arrivalsFrom = arrivals + Self.arrivalsBlock
            isDirty = true
        }
        defer { arrivals += 1 }
        return arrivals
    }

    /// Every job that has come so far has a lower number, and those that come have not.
    var arrivalsSoFar: UInt64 { arrivals }

    /// The row to be written with a batch; nil when there is none.
    mutating func takeRow(at now: Moment, _ branches: Branches) -> Write? {
        let isNoted = record.note(now, storesDelays: storesDelays, branches)
        defer {
            storesDelays = false
            isDirty = false
        }
        return isNoted || isDirty ? Write(key: ShardKeys.info, value: record.serializedBytes()) : nil
    }
}
