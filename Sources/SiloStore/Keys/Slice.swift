public import SiloCore

/// A part of the routing space that a shard holds whole or not at all: tenants whose hashes begin with the same ten bits.
///
/// With so many, one shard of everything opens with at most 1,024 short scans, and a split is at most a thousandth of the space
/// off the hash that was asked for.
public struct Slice: Hashable, Sendable, Comparable {
    /// Below `count`.
    public let number: UInt16

    public static let bits = 10
    public static let count = 1 << bits
    public static let all = (0..<UInt16(count)).map { Slice($0) }

    private init(_ number: UInt16) { self.number = number }

    public init(of hash: TenantHash) { number = UInt16(truncatingIfNeeded: hash.value >> UInt64(64 - Self.bits)) }

    /// The slice that a key lies in; nil for a shard-wide key.
    public init?(of key: Bytes) {
        guard key.count > 2, key[0] >= Self.firstByte else { return nil }
        let number = UInt16(key[0] - Self.firstByte) << 8 | UInt16(key[1])
        guard number < Self.count else { return nil }
        self.number = number
    }

    /// What all keys of the slice begin with.
    public var prefix: Bytes { [Self.firstByte + UInt8(number >> 8), UInt8(number & 0xff)] }

    /// The first hash of the slice: where a shard may be cut.
    public var firstHash: TenantHash { TenantHash(UInt64(number) << UInt64(64 - Self.bits)) }

    public static func < (left: Slice, right: Slice) -> Bool { left.number < right.number }

    /// The rows of slices that lie side by side.
    public static func rows(of slices: ClosedRange<Slice>) -> (start: Bytes, end: Bytes) {
        (slices.lowerBound.rows.start, slices.upperBound.rows.end)
    }

    /// Slices lie behind what is shard-wide.
    private static let firstByte: UInt8 = 0x10

    // Ranges.

    /// Every row of the slice.
    public var rows: (start: Bytes, end: Bytes) { (prefix, Self.successor(of: prefix)) }
    /// What opening reads: the directory, refreshes, states of tenants, pauses.
    public var indexes: (start: Bytes, end: Bytes) { (prefix + [Family.queue.rawValue], prefix + [Family.line.rawValue]) }
    public var queues: (start: Bytes, end: Bytes) { range(.queue) }
    public var pauses: (start: Bytes, end: Bytes) { range(.pause) }
    public var lines: (start: Bytes, end: Bytes) { range(.line) }
    public var tenantStates: (start: Bytes, end: Bytes) { range(.tenantState) }
    public var ready: (start: Bytes, end: Bytes) { range(.ready) }
    public var leases: (start: Bytes, end: Bytes) { range(.lease) }
    package var setAside: (start: Bytes, end: Bytes) { range(.setAside) }

    /// Failures of all tenants between two moments, both with them, newest first.
    package func failures(from first: Timestamp, through last: Timestamp) -> (start: Bytes, end: Bytes) {
        var newest = KeyEncoder(prefix + [Family.failed.rawValue])
        var oldest = newest
        newest.append(~last.sortable)
        oldest.append(~first.sortable)
        return (newest.bytes, Self.successor(of: oldest.bytes))
    }

    package func range(_ family: Family) -> (start: Bytes, end: Bytes) {
        (prefix + [family.rawValue], prefix + [family.rawValue + 1])
    }

    /// The first key after all that begin with `prefix`, which begins below 0xFF.
    package static func successor(of prefix: Bytes) -> Bytes {
        var end = prefix
        while end.last == 0xff { end.removeLast() }
        if let last = end.popLast() { end.append(last + 1) }
        return end
    }
}

/// The slices that hold anything, one bit each.
public struct SliceSet: Sendable, Equatable {
    private var bytes: Bytes

    public init() { bytes = Bytes(repeating: 0, count: Slice.count / 8) }

    /// As they are stored; nil when that is not such a set.
    public init?(stored: Bytes) {
        guard stored.count == Slice.count / 8 else { return nil }
        bytes = stored
    }

    public var stored: Bytes { bytes }

    public func contains(_ slice: Slice) -> Bool { bytes[Int(slice.number >> 3)] & (1 << (slice.number & 7)) != 0 }

    public mutating func insert(_ slice: Slice) { bytes[Int(slice.number >> 3)] |= 1 << (slice.number & 7) }
    public mutating func remove(_ slice: Slice) { bytes[Int(slice.number >> 3)] &= ~(1 << (slice.number & 7)) }

    /// In order.
    public var slices: [Slice] { Slice.all.filter(contains) }
}

/// The kinds of rows of a slice.
package enum Family: UInt8, Sendable {
    case queue = 0x02
    case refresh = 0x03
    case tenantState = 0x04
    case pause = 0x05
    case line = 0x06
    case ready = 0x20
    case lease = 0x21
    case date = 0x22
    case delay = 0x23
    case waiting = 0x24
    case slots = 0x25
    case bucket = 0x26
    case job = 0x40
    case status = 0x41
    case attempt = 0x42
    case metadata = 0x43
    case finished = 0x44
    case failed = 0x45
    case period = 0x46
    case keptUntil = 0x47
    case setAside = 0x7f
}
