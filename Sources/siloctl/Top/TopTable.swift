/// A table that is sorted, cut and scrolled to what the screen has room for.
struct TopTable {
    struct Column {
        let title: String
        var isText = false
        /// Of time.
        var isLength = false
        /// Of columns that have no room, those with the highest number are left out first; 0: never.
        let rank: Int
        /// It is so wide at least, so that the others do not move with every number.
        var least = 0
    }
    struct Cell {
        let line: Line
        let order: Order
    }
    enum Order: Comparable {
        case number(Double)
        case text(String)
    }
    /// Named by its first cell.
    typealias Row = [Cell]

    let columns: [Column]
    var rows: [Row]
    /// What stands in place of rows.
    let empty: String

    private static let nameLeast = 12
    private static let gap = 2

    /// The largest first where a column has numbers; names as they are read.
    func sorted(by column: Int, isReversed: Bool) -> TopTable {
        guard columns.indices.contains(column) else { return self }
        var table = self
        table.rows.sort { left, right in
            let (first, second) = (left[column].order, right[column].order)
            guard first != second else { return left[0].order < right[0].order }
            return (first < second) == (columns[column].isText != isReversed)
        }
        return table
    }

    /// - Parameters:
    ///   - rows: these alone.
    ///   - mark: stands behind the title of the column that it is sorted by.
    /// - Returns: the titles, and the rows.
    func lines(_ rows: Range<Int>, columns width: Int, sorted column: Int, mark: String) -> [Line] {
        let shown = Array(self.rows[rows.clamped(to: 0..<self.rows.count)])
        let titles = columns.enumerated().map { $1.title + ($0 == column ? mark : "") }
        let widths = columns.indices.map { index in
            max(columns[index].least, titles[index].columns, shown.map { $0[index].line.width }.max() ?? 0)
        }
        let kept = kept(widths, columns: width)
        let others = kept.dropFirst().reduce(0) { $0 + widths[$1] + Self.gap }
        let name = max(Self.nameLeast, min(widths[0], width - others))
        func line(_ cells: [Line]) -> Line {
            var line = Line("")
            for index in kept {
                let cell = index == 0 ? cells[0].cut(to: name) : cells[index]
                let padded = cell.padded(to: index == 0 ? name : widths[index], onTheLeft: !columns[index].isText)
                line = line + (index == 0 ? "" : Line(String(repeating: " ", count: Self.gap))) + padded
            }
            return line.cut(to: width)
        }
        return [line(titles.map { Line($0, .heading) })] + shown.map { row in line(row.map(\.line)) }
    }

    /// The columns that there is room for.
    private func kept(_ widths: [Int], columns width: Int) -> [Int] {
        var kept = Array(columns.indices)
        func total() -> Int { Self.nameLeast + kept.dropFirst().reduce(0) { $0 + widths[$1] + Self.gap } }
        while total() > width, let last = kept.filter({ columns[$0].rank > 0 }).max(by: { columns[$0].rank < columns[$1].rank }) {
            kept.removeAll { $0 == last }
        }
        return kept
    }
}

extension TopTable.Cell {
    static func text(_ text: String, _ style: Line.Style? = nil) -> Self { Self(line: Line(text, style), order: .text(text)) }
    static func count(_ number: some BinaryInteger, isBad: Bool = false) -> Self {
        Self(line: Line(Words.grouped(number), isBad ? .bad : nil), order: .number(Double(number)))
    }
    static func rate(_ number: Double?) -> Self {
        Self(line: number.map { Line(Words.short($0)) } ?? "-", order: .number(number ?? -1))
    }
    /// - Parameter milliseconds: nil: there is none.
    static func length(_ milliseconds: Int64?) -> Self {
        Self(line: milliseconds.map { Line(Words.length($0)) } ?? "-", order: .number(Double(milliseconds ?? -1)))
    }
}
