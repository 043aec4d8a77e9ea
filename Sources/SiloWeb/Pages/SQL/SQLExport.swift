import Foundation
import HTTPServer
import SQLText
import SiloAPI
import SiloCore

/// All rows of a statement as a file of CSV (RFC 4180, UTF-8), which is written while it is sent. People open such files in
/// spreadsheets: a text that one would take for a formula gets `'` in front of it. `siloctl query --csv` leaves it as it is.
enum SQLExport {
    static let path = "/sql/export.csv"

    static let download = Download(path, needs: SiloV1.Silo.query, formBytesMax: SQLForm.bytesMax) { visit in
        try visit.checkMayAsk()
        let form = try SQLForm(visit.asked).with(.table)
        guard !form.isBlank else { throw PageFailure(400, "Nothing to export", "There is no statement in q.") }
        if let missing = form.missingValue {
            throw PageFailure(400, "The statement needs a value", "Give the value of \(missing), as p\(missing.dropFirst()).")
        }
        guard let slot = visit.site.exports.take() else {
            throw PageFailure(
                503, "Too many exports at once", "\(ExportSlots.countMax) are being read. Try it again when one is done.")
        }
        let answer = try await visit.call(SiloV1.Silo.query, form.request(rowsMax: 0))
        let date = Date(timeIntervalSince1970: Double(visit.now.milliseconds / 1000))
        let time = date.formatted(.iso8601).filter { $0.isLetter || $0.isNumber }
        // Nothing but its name can say that rows are missing.
        let name = answer.missingShards.isEmpty ? "silo" : "silo-partial"
        return .file("\(name)-\(time).csv", type: "text/csv; charset=utf-8; header=present") { writer in
            try await write(answer, to: writer)
            withExtendedLifetime(slot) {}
        }
    }
    private static let pieceBytes = 64 << 10

    private static func write(_ answer: SiloV1.QueryResponse, to writer: HTTPBodyWriter) async throws {
        let columns = answer.columns.map { SQLAnswer.Column(name: $0.name, type: $0.dataType) }
        var piece = line(columns.map { MessagePack.text($0.name) })
        for row in answer.rows {
            piece += line(SQLAnswer.cells(row, columns))
            guard piece.utf8.count >= pieceBytes else { continue }
            try await writer.write(Array(piece.utf8))
            piece = ""
        }
        if !piece.isEmpty { try await writer.write(Array(piece.utf8)) }
    }

    static func line(_ values: [MessagePack]) -> String {
        CSVLine.text(values.map { value in
            // Numbers begin with a sign as they should.
            if case .text(let text) = value { return CSVLine.withoutFormula(text) }
            return value.csvText
        })
    }
}
