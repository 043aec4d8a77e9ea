/// What a setting's value can be, and how it is read and written.
package enum SettingForm: Sendable {
    case text
    /// A text that `isRight` takes.
    case checked(wanted: String, isRight: @Sendable (String) -> Bool)
    /// One of these words.
    case word([String])
    case flag
    case number(ClosedRange<Int>)
    case fraction(ClosedRange<Double>)
    /// A time, in milliseconds. A bare number is in `unit`; without one it needs its own, as in `"5s"`.
    case duration(ClosedRange<Int>, unit: Int? = nil)
    /// A number of bytes. A bare number is in `unit`; without one it needs its own, as in `"64MiB"`.
    case size(ClosedRange<Int>, unit: Int? = nil)
    case texts
    /// These names, each with a value of its form.
    case table([String: SettingForm])

    /// A value as it was given, before it is known what is wanted.
    package enum Raw: Sendable, Equatable {
        case text(String)
        case flag(Bool)
        case number(Int)
        case fraction(Double)
        case texts([String])
        case table([String: String])
        /// Something that no setting takes, such as a date.
        case other(String)
    }

    /// The value; nil when it is none of this form, or out of its bounds.
    /// - Parameter unit: what a bare number is in, in place of the form's own.
    func value(of raw: Raw, unit given: Int? = nil) -> SettingValue? {
        switch (self, raw) {
        case (.text, .text(let text)): text.isEmpty ? nil : .text(text)
        case (.checked(_, let isRight), .text(let text)): isRight(text) ? .text(text) : nil
        case (.word(let words), .text(let text)): words.contains(text) ? .text(text) : nil
        case (.flag, .flag(let flag)): .flag(flag)
        case (.number(let range), .number(let number)): range.contains(number) ? .number(number) : nil
        case (.fraction(let range), .fraction(let fraction)): range.contains(fraction) ? .fraction(fraction) : nil
        case (.fraction(let range), .number(let number)): range.contains(Double(number)) ? .fraction(Double(number)) : nil
        case (.duration(let range, let unit), _): Self.measured(raw, in: range, unit: given ?? unit, units: Unit.times)
        case (.size(let range, let unit), _): Self.measured(raw, in: range, unit: given ?? unit, units: Unit.sizes)
        case (.texts, .texts(let texts)): .texts(texts)
        case (.table, .table(let table)): .table(table)
        default: nil
        }
    }

    private static func measured(_ raw: Raw, in range: ClosedRange<Int>, unit: Int?, units: [Unit]) -> SettingValue? {
        let number: Int? =
            switch raw {
            case .number(let number): unit.flatMap { Unit.product(number, $0) }
            case .text(let text): Unit.number(of: text, in: units)
            default: nil
            }
        return number.flatMap { range.contains($0) ? .number($0) : nil }
    }

    /// A value as the command line gives it.
    func value(ofOption text: String, unit: Int?) -> SettingValue? {
        switch self {
        // Who uses it says more of what is wrong.
        case .text, .checked: .text(text)
        case .word: value(of: .text(text))
        case .flag: value(of: .flag(true))
        case .number: Int(text).flatMap { value(of: .number($0)) }
        case .fraction: Double(text).flatMap { value(of: .fraction($0)) }
        case .duration, .size: value(of: Int(text).map(Raw.number) ?? .text(text), unit: unit)
        case .texts: .texts(text.split(separator: ",").map(String.init))
        case .table: nil
        }
    }

    /// What would be right, as in `must be …`.
    /// - Parameter unit: that of an option, which says itself what it is in.
    package func wanted(unit given: Int? = nil) -> String {
        switch self {
        case .text: "a text in quotes that is not empty"
        case .checked(let wanted, _): wanted
        case .word(let words):
            words.count == 1 ? words[0] : words.dropLast().joined(separator: ", ") + " or " + words[words.count - 1]
        case .flag: "true or false"
        case .number(let range): "a whole number " + Self.bounds(range) { "\($0)" }
        case .fraction(let range): "a number from \(range.lowerBound) to \(range.upperBound)"
        case .duration(let range, let unit):
            Self.wanted(range, given, unit, Unit.times, "a duration", "such as \"5s\" or \"10m\"")
        case .size(let range, let unit): Self.wanted(range, given, unit, Unit.sizes, "a size", "such as \"64MiB\" or \"1GB\"")
        case .texts: "a list of texts, such as [\"a\", \"b\"]"
        case .table: "a table"
        }
    }

    private static func wanted(
        _ range: ClosedRange<Int>, _ given: Int?, _ unit: Int?, _ units: [Unit], _ what: String, _ example: String
    ) -> String {
        if let given { return "a whole number " + bounds(range) { "\($0 / given)" } }
        let bounds = bounds(range) { Unit.text($0, in: units) }
        let bare = units.first { $0.factor == unit }.map { ", or a number of \($0.name)" } ?? ""
        return "\(what) \(bounds), \(example)\(bare)"
    }

    private static func bounds(_ range: ClosedRange<Int>, _ text: (Int) -> String) -> String {
        range.upperBound == .max
            ? "of \(text(range.lowerBound)) or more" : "from \(text(range.lowerBound)) to \(text(range.upperBound))"
    }
}
