package import SiloCore

/// What lies in a segment, up to the first record that does not check.
package struct SegmentContent: Equatable, Sendable {
    package private(set) var records: [LogRecord] = []
    /// Where it ends, in bytes.
    package private(set) var end = LogFormat.blockBytes
    /// The place of a record that checks, though one before it does not: the segment was damaged at `end`.
    package private(set) var laterRecord: Int?
    /// At `end` begins the record that comes next, and it does not check: it was never acknowledged, unless the disk damaged it.
    /// Whether there is one cannot be seen when its first bytes are gone.
    package private(set) var hasUnfinishedRecord = false

    /// - Parameter bytes: the whole file.
    package init(of header: SegmentHeader, _ bytes: Bytes, _ settings: LogSettings = LogSettings()) {
        let seed = settings.seed(of: header)
        let takesAny = settings.plants(.takesRecycledRecords)
        var next = header.firstSequence
        bytes.withUnsafeBytes { bytes in
            while let record = LogRecord.read(bytes, at: end, seed: seed, sequences: (takesAny ? 0 : next)...),
                record.firstSequence == next || takesAny
            {
                records.append(record)
                end = record.end
                next = record.lastSequence + 1
            }
            if !settings.plants(.ignoresLaterRecords) {
                laterRecord = Self.find(bytes, from: end, seed: seed, sequences: next...)
            }
            hasUnfinishedRecord = LogRecord.sequence(bytes, at: end) == next
        }
    }

    /// Nil: the segment has no records.
    package var lastSequence: UInt64? { records.last?.lastSequence }

    /// The first place from `start` on with a record of the segment.
    static func find(_ bytes: UnsafeRawBufferPointer, from start: Int, seed: UInt64, sequences: PartialRangeFrom<UInt64>) -> Int?
    {
        stride(from: start, to: bytes.count, by: LogFormat.blockBytes).first {
            LogRecord.read(bytes, at: $0, seed: seed, sequences: sequences) != nil
        }
    }

    /// Whether a file whose header cannot be read holds a record of segment `number`.
    package static func holdsRecord(of log: LogIdentity, number: UInt64, sequences: PartialRangeFrom<UInt64>, _ bytes: Bytes)
        -> Bool
    {
        let seed = LogFormat.seed(log.id, number)
        return bytes.withUnsafeBytes { find($0, from: LogFormat.blockBytes, seed: seed, sequences: sequences) } != nil
    }
}
