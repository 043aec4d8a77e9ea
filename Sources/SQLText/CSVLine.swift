import SiloCore

/// A line of CSV (RFC 4180): it ends with CR LF, and values are in quotes where they need them. NULL has nothing between its
/// commas, an empty text has two quotes.
package enum CSVLine {
    /// - Parameter fields: nil is NULL.
    package static func text(_ fields: [String?]) -> String {
        // A line of one NULL would be an empty line, which readers pass over.
        if fields.count == 1, fields[0] == nil { return "\"\"\r\n" }
        return fields.map { $0.map(field) ?? "" }.joined(separator: ",") + "\r\n"
    }

    private static func field(_ text: String) -> String {
        let needsQuotes = text.isEmpty || text.utf8.contains { ",\"\r\n".utf8.contains($0) }
        return needsQuotes ? "\"\(text.parts(at: "\"").joined(separator: "\"\""))\"" : text
    }

    /// A text that a spreadsheet would take for a formula, with `'` in front, which makes it a text there too.
    package static func withoutFormula(_ text: String) -> String {
        guard let first = text.utf8.first, "=+-@\t\r\n".utf8.contains(first) else { return text }
        return "'" + text
    }
}
