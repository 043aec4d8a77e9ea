/// How an answer is drawn: the first column says where, each column of numbers behind it is a series.
enum ChartChoice: Equatable {
    /// Over times or numbers, which go up or down from row to row.
    case lines(isTime: Bool, series: [Int])
    case bars(series: [Int])
    /// It cannot be drawn, because of this.
    case none(String)

    static let seriesMax = 5

    init(_ answer: SQLAnswer) {
        let series = answer.columns.indices.dropFirst().filter { index in
            answer.columns[index].isNumber && !answer.times.contains(index)
                && answer.rows.contains { $0[index].drawable != nil }
        }
        guard !answer.rows.isEmpty else {
            self = .none("There are no rows to draw.")
            return
        }
        guard !series.isEmpty else {
            self = .none("A chart needs a column of numbers behind the first one, which says what each row is about.")
            return
        }
        let shown = Array(series.prefix(Self.seriesMax))
        let places = answer.rows.compactMap { $0[0].drawable }
        let isOrdered = answer.columns[0].isNumber && places.count > 1 && Self.isOrdered(places, of: answer.rows.count)
        self = isOrdered ? .lines(isTime: answer.times.contains(0), series: shown) : .bars(series: shown)
    }

    /// Each more than the one before it, or each less.
    private static func isOrdered(_ numbers: [Double], of count: Int) -> Bool {
        guard numbers.count == count else { return false }
        let pairs = zip(numbers, numbers.dropFirst())
        return pairs.allSatisfy { $0 < $1 } || pairs.allSatisfy { $0 > $1 }
    }
}
