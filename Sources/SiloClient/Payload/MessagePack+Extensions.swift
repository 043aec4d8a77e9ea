/// A moment as MessagePack's timestamp extension holds it
/// (https://github.com/msgpack/msgpack/blob/master/spec.md#timestamp-extension-type).
public struct MessagePackDate: Equatable, Sendable {
    /// Since the Unix epoch.
    public let seconds: Int64
    /// From 0 to 999,999,999, after `seconds`.
    public let nanoseconds: UInt32

    public init(seconds: Int64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// `2026-03-01T12:00:00.5Z`: ISO 8601 in UTC, with as many digits behind the second as are needed. Years beyond 9999 have a
    /// sign, as ISO 8601 wants it.
    public var text: String {
        let (days, second) = seconds.floorDivided(by: 86_400)
        let (year, month, day) = Self.civil(days)
        var text = (0...9999).contains(year) ? Self.pad(year, 4) : (year < 0 ? "-" : "+") + Self.pad(Int64(year.magnitude), 6)
        text += "-\(Self.pad(month, 2))-\(Self.pad(day, 2))"
        text += "T\(Self.pad(second / 3600, 2)):\(Self.pad(second / 60 % 60, 2)):\(Self.pad(second % 60, 2))"
        guard nanoseconds > 0 else { return text + "Z" }
        var fraction = Self.pad(Int64(nanoseconds), 9)
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return text + ".\(fraction)Z"
    }

    /// The date of a day in the proleptic Gregorian calendar, for every day that 64 bits of seconds reach
    /// (https://howardhinnant.github.io/date_algorithms.html#civil_from_days).
    private static func civil(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let (era, dayOfEra) = shifted.floorDivided(by: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let month = (5 * dayOfYear + 2) / 153
        let isEarly = month >= 10
        return (yearOfEra + era * 400 + (isEarly ? 1 : 0), isEarly ? month - 9 : month + 3, dayOfYear - (153 * month + 2) / 5 + 1)
    }

    private static func pad(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}

extension MessagePack {
    /// The moment, of a timestamp in any of its three sizes: how JavaScript's and other libraries write dates.
    public var date: MessagePackDate? {
        guard case .extended(type: -1, let bytes) = self else { return nil }
        let seconds: Int64
        let nanoseconds: UInt32
        switch bytes.count {
        case 4: (seconds, nanoseconds) = (Int64(Self.number(bytes)), 0)
        case 8:
            let number = Self.number(bytes)
            (seconds, nanoseconds) = (Int64(number & 0x3_ffff_ffff), UInt32(number >> 34))
        case 12: (seconds, nanoseconds) = (Int64(bitPattern: Self.number(bytes[4...])), UInt32(Self.number(bytes[..<4])))
        default: return nil
        }
        return nanoseconds < 1_000_000_000 ? MessagePackDate(seconds: seconds, nanoseconds: nanoseconds) : nil
    }

    /// JavaScript's `undefined`, as its MessagePack library writes it: a failure that brought no data (spec/clients.md 7).
    public var isUndefined: Bool { self == .extended(type: 0, [0]) }

    /// The most significant byte first.
    private static func number(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}

extension Int64 {
    /// The remainder is never negative.
    fileprivate func floorDivided(by divisor: Int64) -> (quotient: Int64, remainder: Int64) {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }
}
