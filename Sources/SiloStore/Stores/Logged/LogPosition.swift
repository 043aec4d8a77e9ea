package import SiloCore

/// What the store below knows of the log above it: a row of the store's own, which no reader sees.
package struct LogPosition: Equatable, Sendable {
    package let logID: UInt64
    /// The store below holds every batch up to this one.
    package let sequence: UInt64
    /// Of those after it, up to this one, the store below may hold some rows: a checkpoint of them has begun.
    package let begun: UInt64
    /// Nothing is in the log that is not below: the data may be opened without it.
    package let isWhole: Bool
    /// The log before it, beside whose end it was begun: nothing is in that one that is not below. Nil: there was none.
    package let previousID: UInt64?

    package init(logID: UInt64, sequence: UInt64, begun: UInt64 = 0, isWhole: Bool, after previousID: UInt64? = nil) {
        self.logID = logID
        self.sequence = sequence
        self.begun = max(begun, sequence)
        self.isWhole = isWhole
        self.previousID = previousID
    }

    /// Keys that begin so are the store's own.
    static let family: UInt8 = 0
    /// The first key that is not.
    static let firstKey: Bytes = [family + 1]
    package static let key: Bytes = [family]

    private static let format: UInt8 = 2
    private static let hasPrevious: UInt8 = 2

    package var bytes: Bytes {
        var bytes: Bytes = [Self.format, (isWhole ? 1 : 0) | (previousID == nil ? 0 : Self.hasPrevious)]
        for number in [logID, sequence, begun, previousID ?? 0] { bytes.append(littleEndian: number) }
        return bytes
    }

    /// Nil when the bytes are of no known format.
    package init?(_ bytes: Bytes) {
        // The first format ends after the sequence.
        guard bytes.count == (bytes.first == 1 ? 18 : 34), bytes[0] <= Self.format, bytes[1] <= 3 else { return nil }
        let numbers: [UInt64] = bytes.withUnsafeBytes { bytes in
            stride(from: 2, to: bytes.count, by: 8).map { bytes.integer(at: $0) }
        }
        self.init(
            logID: numbers[0], sequence: numbers[1], begun: numbers.count > 2 ? numbers[2] : 0, isWhole: bytes[1] & 1 != 0,
            after: bytes[1] & Self.hasPrevious != 0 && numbers.count > 3 ? numbers[3] : nil)
    }

    var write: Write { Write(key: Self.key, value: bytes) }

    /// What the store below says.
    /// - Parameters:
    ///   - bytes: of its row; nil: it has none, for there never was a log.
    ///   - name: of the shard.
    package static func read(_ bytes: Bytes?, of name: String) throws(StoreError) -> LogPosition? {
        guard let bytes else { return nil }
        guard let position = LogPosition(bytes) else {
            throw .corrupt("the data of \(name) was written by a newer program")
        }
        return position
    }

    /// Makes sure that nothing of the data is in a log above it, for whoever opens it without one.
    package static func requireWhole(_ bytes: Bytes?, of name: String) throws(StoreError) {
        guard let bytes, LogPosition(bytes)?.isWhole != true else { return }
        throw .corrupt("the log of \(name) is on the local disk of the machine that served it last, and was not closed there")
    }
}
