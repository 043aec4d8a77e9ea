/// Rows with columns as wide as they need be.
enum Table {
    /// - Parameters:
    ///   - heading: of the columns; a row of its own.
    ///   - onTheRight: columns of numbers.
    static func lines(
        _ heading: [String]? = nil, _ rows: [[Line]], indent: Int = 0, onTheRight: Set<Int> = []
    ) -> [Line] {
        let rows = (heading.map { [$0.map { Line($0, .heading) }] } ?? []) + rows
        let widths = (0..<(rows.first?.count ?? 0)).map { column in rows.map { $0[column].width }.max() ?? 0 }
        return rows.map { row in
            var line = Line(String(repeating: " ", count: indent))
            for (column, cell) in row.enumerated() {
                let isRight = onTheRight.contains(column)
                // Nothing stands behind the last one that spaces would move.
                let isLast = column == row.count - 1 && !isRight
                line = line + (column == 0 ? "" : "  ") + (isLast ? cell : cell.padded(to: widths[column], onTheLeft: isRight))
            }
            return line
        }
    }
}
