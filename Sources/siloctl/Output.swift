import CommandLineTool
import Foundation

/// What a command prints: lines for people, or an object for programs. Much of it was written by others: nothing in it gets at
/// the terminal.
struct Output {
    let isJSON: Bool

    /// - Parameter isShort: the object goes on one line.
    func print(_ object: [String: Any], _ lines: [String], isShort: Bool = false) throws {
        guard isJSON else { return Swift.print(lines.map(\.printable).joined(separator: "\n")) }
        Swift.print(try JSONText(isPretty: !isShort).text(of: object).printableJSON)
    }

    /// Unix seconds, then the exact milliseconds; `-` for none, and `never` for what is no time.
    static func time(_ milliseconds: Int64) -> String {
        milliseconds == 0 ? "-" : Words.isTime(milliseconds) ? "\(milliseconds / 1000) (\(milliseconds)ms)" : Words.never
    }

    static func pad(_ text: String, _ width: Int) -> String {
        let text = text.printable
        return text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// A table with columns as wide as they need be.
    static func rows(_ rows: [[String]], indent: Int = 0) -> [String] {
        let widths = (0..<(rows.first?.count ?? 0)).map { column in rows.map { $0[column].printable.count }.max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { pad($0, $1) }.joined(separator: "  ")
            return String(repeating: " ", count: indent) + cells.trimmingCharacters(in: .whitespaces)
        }
    }
}
