import CommandLineTool
import SiloClient

/// An answer as people read it: a row on each line, or one below the other where they are too wide for the terminal.
struct ResultTable {
    private let answer: QueryAnswer
    private let isExpanded: Bool
    private let widths: [Int]
    /// The cells of each row, already made printable.
    private let cells: [[Line]]

    private static let between = " | "
    /// A column is cut to this, and not further: then rows go below each other.
    private static let widthMin = 12

    init(_ shape: ResultShape, _ answer: QueryAnswer) {
        self.answer = answer
        let cells = answer.values.map { row in zip(row, answer.columns).map(Self.cell) }
        let natural = answer.columns.indices.map { column in
            cells.reduce(answer.columns[column].name.printable.columns) { max($0, $1[column].width) }
        }
        let fitting = shape.width.map { Self.fit(natural, answer.columns, into: $0) } ?? natural
        self.cells = cells
        isExpanded = !cells.isEmpty && (shape.expansion == .on || shape.expansion == .auto && fitting == nil)
        widths = fitting ?? natural
    }

    var lines: [Line] {
        guard !answer.columns.isEmpty else { return ["The statement has no columns to show"] }
        return (isExpanded ? expanded : table) + ["", "\(answer.rows.count) row(s) returned"]
            + answer.missingLines.map { Line($0.printable) }
    }

    // MARK: Cells

    /// NULL looks unlike every text, and a blob unlike the text of its digits.
    private static func cell(_ value: MessagePack, _ column: QueryAnswer.Column) -> Line {
        guard let text = value.cellText else { return Line("NULL", .quiet) }
        var isBlob = column.isBinary
        if case .binary = value { isBlob = true }
        if isBlob { return Line("x'\(text)'") }
        return Line(text == "NULL" ? "'NULL'" : text)
    }

    // MARK: A row on each line

    private var table: [Line] {
        let heading = row(answer.columns.map { Line($0.name, .heading) })
        let rule = Line(widths.map { String(repeating: "-", count: $0) }.joined(separator: "-+-"))
        return [heading, rule] + cells.map(row)
    }

    private func row(_ cells: [Line]) -> Line {
        var line = Line("")
        for (index, cell) in cells.enumerated() {
            let isRight = answer.columns[index].isNumber
            let isLast = index == cells.count - 1 && !isRight
            let fitting = cell.cut(to: widths[index])
            line =
                line + (index == 0 ? "" : Line(Self.between))
                + (isLast ? fitting : fitting.padded(to: widths[index], onTheLeft: isRight))
        }
        return line
    }

    /// Widths with which the rows fit, the widest texts giving way first; numbers are never cut. Nil: they cannot.
    private static func fit(_ natural: [Int], _ columns: [QueryAnswer.Column], into width: Int) -> [Int]? {
        func widths(_ max: Int) -> [Int] { zip(natural, columns).map { $1.isNumber ? $0 : min($0, max) } }
        func fits(_ max: Int) -> Bool { widths(max).reduce((natural.count - 1) * between.count, +) <= width }
        let widest = natural.max() ?? 0
        if fits(widest) { return natural }
        guard fits(widthMin) else { return nil }
        var (low, high) = (widthMin, widest)
        while low + 1 < high {
            let middle = (low + high) / 2
            if fits(middle) { low = middle } else { high = middle }
        }
        return widths(low)
    }

    // MARK: Rows below each other

    private var expanded: [Line] {
        let names = answer.columns.map { Line($0.name, .heading) }
        let width = names.reduce(0) { max($0, $1.width) }
        return zip(cells, answer.values).enumerated().flatMap { index, row in
            [Line("-[ \(index + 1) ]-----", .quiet)]
                + zip(names, zip(row.0, row.1)).flatMap { name, cell in
                    Self.whole(cell.0, cell.1).enumerated().map { line, part in
                        (line == 0 ? name : Line("")).padded(to: width) + Line(Self.between) + part
                    }
                }
        }
    }

    /// All lines of a text.
    private static func whole(_ cell: Line, _ value: MessagePack) -> [Line] {
        guard case .text(let text) = value, text.contains(where: \.isNewline) else { return [cell] }
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { Line(String($0)) }
    }
}
