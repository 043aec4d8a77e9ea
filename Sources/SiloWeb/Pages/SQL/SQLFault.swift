import SQLText

/// Why a statement has no answer, with the place in it, where the server says one.
struct SQLFault {
    private let failure: PageFailure
    private let form: SQLForm
    private let place: StatementPlace?

    init(_ failure: CallFailure, _ form: SQLForm) {
        self.failure = PageFailure(failure)
        self.form = form
        let asked = form.prefix + form.sql
        place = FaultPlace(failure.text, in: asked).byte.map {
            StatementPlace(form.sql, byte: $0 - form.prefix.utf8.count)
        }
    }

    var html: HTML {
        let place: HTML = place.map { place in
            """
            <p class="place">Line \(place.line), column \(place.column) \
            <button type="button" class="button quiet copy" data-at="\(place.offset)">Go there</button></p>\
            <pre class="marked" aria-label="The statement at this place">\
            \(place.before)<mark>\(place.marked)</mark>\(place.behind)</pre>
            """
        } ?? .empty
        return """
            <section class="card after fault" id="result"><h2>\(failure.title)</h2>\
            <p class="why">\(Name.visible(String(failure.text.unicodeScalars.prefix(2000))))</p>\(place)</section>
            """
    }
}

/// A byte of a statement, as people find it.
struct StatementPlace: Equatable {
    /// From 1.
    let line: Int
    let column: Int
    /// As scripts count.
    let offset: Int
    /// The line with the place, cut where it is long.
    let before: String
    let marked: String
    let behind: String

    private static let around = 60

    /// - Parameter byte: what lies outside is its first or its end.
    init(_ sql: String, byte: Int) {
        let pieces = SQLPieces(sql)
        let bytes = pieces.bytes
        let byte = min(max(0, byte), bytes.count)
        let isEnd: (UInt8) -> Bool = { $0 == UInt8(ascii: "\n") }
        let start = bytes[..<byte].lastIndex(where: isEnd).map { $0 + 1 } ?? 0
        let end = bytes[byte...].firstIndex(where: isEnd) ?? bytes.count
        line = bytes[..<start].count(where: isEnd) + 1
        let head = pieces.text(start..<byte)
        column = head.count + 1
        offset = pieces.text(0..<byte).utf16.count
        let piece = pieces.pieces.first { $0.range.contains(byte) }
        let markEnd = min(end, max(byte, piece.map(\.range.upperBound) ?? byte))
        let cut = head.count > Self.around
        before = Name.visible(cut ? "…" + head.suffix(Self.around) : head)
        let mark = String(pieces.text(byte..<markEnd).prefix(Self.around))
        marked = mark.isEmpty ? "⏎" : Name.visible(mark)
        let rest = pieces.text(markEnd..<end)
        behind = Name.visible(String(rest.prefix(Self.around))) + (rest.count > Self.around ? "…" : "")
    }
}
