/// A unit of time or size.
struct Unit: Sendable {
    /// As it follows a number.
    let mark: String
    /// Its plural in a sentence.
    let name: String
    /// In milliseconds or bytes.
    let factor: Int

    static let times = [
        Unit(mark: "d", name: "days", factor: 86_400_000), Unit(mark: "h", name: "hours", factor: 3_600_000),
        Unit(mark: "m", name: "minutes", factor: 60_000), Unit(mark: "s", name: "seconds", factor: 1000),
        Unit(mark: "ms", name: "milliseconds", factor: 1),
    ]

    static let sizes = [
        Unit(mark: "TiB", name: "tebibytes", factor: 1 << 40), Unit(mark: "GiB", name: "gibibytes", factor: 1 << 30),
        Unit(mark: "MiB", name: "mebibytes", factor: 1 << 20), Unit(mark: "KiB", name: "kibibytes", factor: 1 << 10),
        Unit(mark: "TB", name: "terabytes", factor: 1_000_000_000_000),
        Unit(mark: "GB", name: "gigabytes", factor: 1_000_000_000),
        Unit(mark: "MB", name: "megabytes", factor: 1_000_000), Unit(mark: "kB", name: "kilobytes", factor: 1000),
        Unit(mark: "B", name: "bytes", factor: 1),
    ]

    /// Whole numbers with their units, one after another: `1h30m`, `64MiB`. Nil for any other text, and for too large a number.
    static func number(of text: String, in units: [Unit]) -> Int? {
        var rest = text[...]
        var sum = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { ("0"..."9").contains($0) }
            rest = rest.dropFirst(digits.count)
            let mark = rest.prefix { !("0"..."9").contains($0) }
            rest = rest.dropFirst(mark.count)
            guard let unit = units.first(where: { $0.mark == mark }), let number = Int(digits),
                let part = product(number, unit.factor)
            else { return nil }
            let (total, isTooLarge) = sum.addingReportingOverflow(part)
            guard !isTooLarge else { return nil }
            sum = total
        }
        return sum
    }

    /// In the largest unit of which it is a whole number.
    static func text(_ number: Int, in units: [Unit]) -> String {
        let standard = units.first { $0.mark == "s" } ?? units.last
        let unit = number == 0 ? standard : units.first { number % $0.factor == 0 }
        return unit.map { "\(number / $0.factor)\($0.mark)" } ?? "\(number)"
    }

    /// Nil when it is too large.
    static func product(_ number: Int, _ factor: Int) -> Int? {
        let (product, isTooLarge) = number.multipliedReportingOverflow(by: factor)
        return isTooLarge ? nil : product
    }
}

/// What bare numbers are in.
enum Milliseconds {
    static let one = 1
    static let second = 1000
    static let minute = 60_000
    static let hour = 3_600_000
    static let day = 86_400_000
    /// A century without leap days: past it a time is a slip of the pen.
    static let max = 36_500 * day
}

enum Bytes {
    static let one = 1
    static let mebi = 1 << 20
    static let tebi = 1 << 40
}
