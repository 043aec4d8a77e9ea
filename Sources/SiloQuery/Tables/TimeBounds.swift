/// Numbers that a column may have, as the bounds of a statement say.
struct TimeBounds: Sendable {
    private(set) var low: Int64?
    private(set) var high: Int64?
    /// A bound that no number meets.
    private(set) var isEmpty = false

    /// The only ones, where they are listed.
    private var listed: Set<Int64>?

    init(_ arguments: ScanArguments, column: Int) {
        for (comparison, isLow, isStrict) in [
            (Constraint.Comparison.greaterOrEqual, true, false), (.greater, true, true), (.lessOrEqual, false, false),
            (.less, false, true),
        ] {
            guard let values = arguments.values[Constraint(column, comparison)] else { continue }
            note(Self.bound(values, isLow: isLow, isStrict: isStrict), isLow: isLow)
        }
        guard let values = arguments.values[Constraint(column, .equal)] else { return }
        let numbers = values.compactMap(\.wholeNumber)
        listed = Set(numbers)
        note(numbers.min(), isLow: true)
        note(numbers.max(), isLow: false)
    }

    private mutating func note(_ bound: Int64?, isLow: Bool) {
        guard let bound else {
            isEmpty = true
            return
        }
        if isLow { low = max(low ?? bound, bound) } else { high = min(high ?? bound, bound) }
    }

    static func has(_ comparison: Constraint.Comparison) -> Bool {
        [.equal, .less, .lessOrEqual, .greater, .greaterOrEqual].contains(comparison)
    }

    /// Nil: no number meets it.
    private static func bound(_ values: [SQLiteValue], isLow: Bool, isStrict: Bool) -> Int64? {
        switch values.first {
        case .integer(let number)?:
            guard isStrict else { return number }
            let (next, overflow) = number.addingReportingOverflow(isLow ? 1 : -1)
            return overflow ? nil : next
        case .real(let number)?:
            let edge =
                isLow ? (isStrict ? number.nextUp : number).rounded(.up) : (isStrict ? number.nextDown : number).rounded(.down)
            // Beyond all integers: on the far side none is met, on the near side all are.
            if let number = Int64(exactly: edge) { return number }
            return (edge < 0) == isLow ? (isLow ? .min : .max) : nil
        // To SQLite they are greater than any number.
        case .text?, .blob?: return isLow ? nil : .max
        case .null?, nil: return nil
        }
    }

    func contains(_ number: Int64) -> Bool {
        !isEmpty && number >= low ?? .min && number <= high ?? .max && listed?.contains(number) ?? true
    }

    func shown(_ bound: Int64?) -> String { bound.map { "Some(\($0))" } ?? "None" }
}

extension SQLiteValue {
    /// Nil: no whole number is equal to it.
    fileprivate var wholeNumber: Int64? {
        switch self {
        case .integer(let number): number
        case .real(let number): Int64(exactly: number)
        default: nil
        }
    }
}
