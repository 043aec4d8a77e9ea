package import SiloCore

/// What the store below knows of the log above it: a row of the store's own, which no reader sees.
package struct LogPosition: Equatable, Sendable {
    package let logID: UInt64
    /// The store below holds every batch up to this one.
    package let sequence: UInt64
    /// Nothing is in the log that is not below: the data may be opened without it.
    package let isWhole: Bool

    package init(logID: UInt64, sequence: UInt64, isWhole: Bool) {
        self.logID = logID
        self.sequence = sequence
        self.isWhole = isWhole
    }

    /// Keys that begin so are the store's own.
    static let family: UInt8 = 0
    /// The first key that is not.
    static let firstKey: Bytes = [family + 1]
    package static let key: Bytes = [family]

    private static let format: UInt8 = 1

    package var bytes: Bytes {
        var bytes: Bytes = [Self.format, isWhole ? 1 : 0]
        bytes.append(littleEndian: logID)
        bytes.append(littleEndian: sequence)
        return bytes
    }

    /// Nil when the bytes are of no known format.
    package init?(_ bytes: Bytes) {
        guard bytes.count == 18, bytes[0] == Self.format, bytes[1] <= 1 else { return nil }
        isWhole = bytes[1] == 1
        (logID, sequence) = bytes.withUnsafeBytes { ($0.integer(at: 2), $0.integer(at: 10)) }
    }
}
