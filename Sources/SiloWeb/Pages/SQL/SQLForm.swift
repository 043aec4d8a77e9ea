import SQLText
import SiloAPI

/// A statement and how it is asked, as the editor's form says it and as it stands in an address.
struct SQLForm: Sendable, Equatable {
    enum View: String, Sendable {
        case table, chart
        /// What would be read, without reading it.
        case plan
        /// Nothing runs.
        case edit
    }
    var sql = ""
    var tenant: String?
    /// Nil: all shards.
    var shard: String?
    /// Shards that do not answer are left out.
    var isPartial = false
    /// Of `$1`, `$2` and so on; nil: not given.
    var values: [String?] = []
    var view = View.table

    static let path = "/sql"
    /// Of the form, in which most of a statement of 1 MiB may be encoded.
    static let bytesMax = 3 << 20 + 64 << 10
    /// Of an address: what is longer goes by POST.
    static let addressBytesMax = 4000
    static let valuesMax = 20

    init() {}

    init(_ form: Form) throws(PageFailure) {
        sql = (form["q"] ?? "").replacing("\r\n", with: "\n")
        tenant = form["tenant"]
        shard = form["shard"]
        isPartial = form["partial"] != nil
        if let text = form["view"] {
            guard let view = View(rawValue: text) else {
                throw PageFailure(400, "There is no such view", "It is one of table, chart, plan and edit.")
            }
            self.view = view
        }
        values = (0..<Self.places(in: sql)).map { form["p\($0 + 1)"] }
    }

    /// How many values the statement wants: the largest of its `$1`, `$2` and so on, as far as there are fields for them.
    private static func places(in sql: String) -> Int {
        let pieces = SQLPieces(sql)
        let numbers = pieces.meaning.compactMap { piece -> Int? in
            guard piece.kind == .word, pieces.bytes[piece.range.lowerBound] == UInt8(ascii: "$") else { return nil }
            return Int(pieces.text(piece).dropFirst())
        }
        return min(max(0, numbers.max() ?? 0), valuesMax)
    }

    /// Nothing to run.
    var isBlank: Bool { SQLPieces(sql).isBlank }

    /// The first of the values that is missing, such as `$2`.
    var missingValue: String? { values.firstIndex { $0 == nil }.map { "$\($0 + 1)" } }

    func with(_ view: View) -> SQLForm {
        var form = self
        form.view = view
        return form
    }

    // MARK: As an address

    var fields: [(String, String?)] {
        let first: [(String, String?)] = [
            ("q", sql), ("tenant", tenant), ("shard", shard), ("partial", isPartial ? "yes" : nil),
        ]
        let own = values.enumerated().map { index, value -> (String, String?) in ("p\(index + 1)", value) }
        return first + own + [("view", view == .table ? nil : view.rawValue)]
    }

    /// Nil: it is too long.
    func address(_ path: String = SQLForm.path) -> Link? {
        // Without encoding it is no longer.
        guard sql.utf8.count <= Self.addressBytesMax else { return nil }
        let link = Link(path, fields)
        return link.text.utf8.count <= Self.addressBytesMax ? link : nil
    }

    // MARK: As a request

    /// - Parameter rowsMax: 0: all.
    func request(rowsMax: Int) -> SiloV1.QueryRequest {
        var request = SiloV1.QueryRequest()
        request.sql = prefix + sql
        request.shard = shard ?? ""
        request.tenant = tenant
        request.allowPartial = isPartial
        request.rowsMax = UInt32(rowsMax)
        request.parameters = values.map { value in
            var parameter = SiloV1.QueryParameter()
            parameter.value = value.map(Self.typed)
            return parameter
        }
        return request
    }

    /// What stands before the statement in what is asked.
    var prefix: String { view == .plan && !isExplain ? "EXPLAIN " : "" }

    private var isExplain: Bool {
        let pieces = SQLPieces(sql)
        return pieces.meaning.first.map { pieces.text($0).uppercased() == "EXPLAIN" } ?? false
    }

    /// What is within `'` is a text, whatever it looks like.
    private static func typed(_ text: String) -> SiloV1.QueryParameter.OneOfValue {
        guard text.utf8.count >= 2, text.hasPrefix("'"), text.hasSuffix("'") else { return .init(guessing: text) }
        return .stringValue(String(text.dropFirst().dropLast()))
    }
}
