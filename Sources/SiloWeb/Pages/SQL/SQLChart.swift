/// The rows of an answer, drawn.
struct SQLChart {
    private let answer: SQLAnswer
    private var cell: SQLCell

    init(_ answer: SQLAnswer, _ cell: SQLCell) {
        self.answer = answer
        self.cell = cell
    }

    var html: HTML {
        switch ChartChoice(answer) {
        case .none(let why): Empty("Nothing to draw", next: "\(why)").html
        case .lines(let isTime, let series): "<div class=\"charts\">\(lines(series, isTime: isTime))</div>"
        case .bars(let series): "<div class=\"charts\">\(series.enumerated().map { bars($1, colour: $0 + 1) })</div>"
        }
    }

    // MARK: Lines

    private func lines(_ series: [Int], isTime: Bool) -> [HTML] {
        let all = series.enumerated().map { place, column in
            ResultLines.Series(name: title(column), colour: place + 1, points: points(column))
        }
        return Self.alike(all).map { ResultLines(title: title(0), isTime: isTime, series: $0, now: cell.now).html }
    }

    private func points(_ column: Int) -> [(x: Double, y: Double)] {
        var points: [(x: Double, y: Double)] = []
        for row in answer.rows {
            if let x = row[0].drawable, let y = row[column].drawable { points.append((x, y)) }
        }
        return points.sorted { $0.x < $1.x }
    }

    /// Series whose heights differ so much that one of them would be flat are drawn apart.
    private static func alike(_ series: [ResultLines.Series]) -> [[ResultLines.Series]] {
        let heights = series.map { $0.points.map { abs($0.y) }.max() ?? 0 }.filter { $0 > 0 }
        guard let least = heights.min(), let most = heights.max(), most / least > 50 else { return [series] }
        return series.map { [$0] }
    }

    // MARK: Bars

    private func bars(_ column: Int, colour: Int) -> HTML {
        var cell = cell
        let rows = answer.rows.prefix(ResultBars.rowsMax).map { row in
            ResultBars.Bar(label: cell.html(row, 0), value: row[column].drawable, text: row[column].csvText ?? "NULL")
        }
        return ResultBars(title: title(column), colour: colour, bars: rows, of: answer.rows.count).html
    }

    private func title(_ column: Int) -> String {
        Name.visible(String(answer.columns[column].name.unicodeScalars.prefix(60)))
    }
}
