import SiloStore

/// Where the fields of a stored `Job` lie in its bytes: found in one pass, so that a statement pays for the columns that it reads
/// and for no others.
struct JobFields {
    private(set) var id = 0..<0
    private(set) var group = 0..<0
    private(set) var priority: Int64 = 0
    private(set) var enqueueTime: Int64 = 0
    private(set) var start: Int64 = 0
    private(set) var payload = 0..<0
    private(set) var createdAt: Int64 = 0
    /// From the first entry of the metadata to the end of the last.
    private var entries = 0..<0

    /// Nil: the bytes are no record.
    init?(_ bytes: UnsafeBufferPointer<UInt8>, in range: Range<Int>) {
        var wire = Wire(bytes, range)
        var before = wire.position
        while let tag = wire.tag() {
            switch tag {
            case 10: id = wire.content()
            case 18: group = wire.content()
            case 24: priority = Int64(UInt32(truncatingIfNeeded: wire.varint()))
            case 32: enqueueTime = Int64(bitPattern: wire.varint())
            case 40: start = Int64(bitPattern: wire.varint())
            case Self.entry:
                _ = wire.content()
                entries = (entries.isEmpty ? before : entries.lowerBound)..<wire.position
            case 74: payload = wire.content()
            case 80: createdAt = Int64(bitPattern: wire.varint())
            default: wire.skip(tag)
            }
            before = wire.position
        }
        if wire.isBroken { return nil }
    }

    private static let entry: UInt64 = 66

    /// The entries of the metadata, each a key and a value.
    func metadata(_ bytes: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        var found: [Range<Int>] = []
        var wire = Wire(bytes, entries)
        while let tag = wire.tag() {
            if tag == Self.entry { found.append(wire.content()) } else { wire.skip(tag) }
        }
        return found
    }
}

/// What of a stored `Status` a statement shows.
struct StatusFields {
    private(set) var state: UInt64 = 0
    private(set) var changedAt: Int64 = 0
    private(set) var attempt: UInt32 = 0
    private(set) var start: Int64?
    /// The end of a length of time, steady.
    private(set) var due: Int64?

    init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        var wire = Wire(bytes, 0..<bytes.count)
        while let tag = wire.tag() {
            switch tag {
            case 8: state = wire.varint()
            case 16: changedAt = Int64(bitPattern: wire.varint())
            case 24: attempt = UInt32(truncatingIfNeeded: wire.varint())
            case 40: start = Int64(bitPattern: wire.varint())
            case 64: due = Int64(bitPattern: wire.varint())
            default: wire.skip(tag)
            }
        }
        if wire.isBroken { return nil }
    }
}

/// What of a stored `Lease` a statement over jobs shows.
struct LeaseFields {
    private(set) var group = 0..<0
    private(set) var startedAt: Int64 = 0

    init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        var wire = Wire(bytes, 0..<bytes.count)
        while let tag = wire.tag() {
            switch tag {
            case 26: group = wire.content()
            case 48: startedAt = Int64(bitPattern: wire.varint())
            default: wire.skip(tag)
            }
        }
        if wire.isBroken { return nil }
    }
}

/// What of a stored `FinishedJob` a statement over jobs shows.
struct FinishedFields {
    private(set) var group = 0..<0

    init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        var wire = Wire(bytes, 0..<bytes.count)
        while let tag = wire.tag() {
            if tag == 10 { group = wire.content() } else { wire.skip(tag) }
        }
        if wire.isBroken { return nil }
    }
}

/// What of a stored `Task` a statement over jobs shows.
struct TaskFields {
    private(set) var attempt: UInt32 = 0
    private(set) var start: Int64 = 0
    /// A copy of the job, where there is one.
    private(set) var job: Range<Int>?
    /// Where there is none.
    private(set) var group = 0..<0
    private(set) var scheduledAt: Int64 = 0

    init?(_ bytes: UnsafeBufferPointer<UInt8>) {
        var wire = Wire(bytes, 0..<bytes.count)
        while let tag = wire.tag() {
            switch tag {
            case 8: attempt = UInt32(truncatingIfNeeded: wire.varint())
            case 24: start = Int64(bitPattern: wire.varint())
            case 42: job = wire.content()
            case 82: group = wire.content()
            case 104: scheduledAt = Int64(bitPattern: wire.varint())
            default: wire.skip(tag)
            }
        }
        if wire.isBroken { return nil }
    }
}

/// Walks over the fields of a record on the wire. Once broken, it is at its end.
struct Wire {
    private let bytes: UnsafeBufferPointer<UInt8>
    private(set) var position: Int
    private let end: Int
    private(set) var isBroken = false

    init(_ bytes: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) {
        self.bytes = bytes
        position = range.lowerBound
        end = min(range.upperBound, bytes.count)
    }

    /// The number of the next field and how it is written; nil: there is none.
    mutating func tag() -> UInt64? { position < end && !isBroken ? varint() : nil }

    @inline(__always)
    mutating func varint() -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end, shift < 64 {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        isBroken = true
        return 0
    }

    mutating func content() -> Range<Int> {
        let count = varint()
        guard !isBroken, count <= UInt64(end - position) else {
            isBroken = true
            return 0..<0
        }
        let start = position
        position += Int(count)
        return start..<position
    }

    mutating func skip(_ tag: UInt64) {
        switch tag & 7 {
        case 0: _ = varint()
        case 1: position += 8
        case 2: _ = content()
        case 5: position += 4
        default: isBroken = true
        }
        if position > end { isBroken = true }
    }
}
