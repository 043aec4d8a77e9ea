import SiloCore

/// A table, or a select in its place, by the name that a statement gives it.
struct Relation {
    let name: String
    var columns: [Column]
}

/// What names mean at a place in a statement.
final class Scope {
    let parent: Scope?
    /// Of WITH, by name.
    var common: [String: [Column]]
    /// How many tables each of them reads, with those of others that it uses.
    var commonSizes: [String: Int]
    var relations: [Relation] = []
    /// What the select list calls its expressions.
    var aliases: [String: Expression] = [:]
    /// Aliases that are being written: one that names itself has no meaning.
    var expanding: Set<String> = []
    /// Of a select that aggregates: what it groups by, as SQL. Nil: it does not aggregate.
    var groups: Set<ExactText>?
    /// Rows are counts of jobs: see `Rollup`.
    var countsAreSums = false
    /// Rows are tallies of jobs: see `Tally`.
    var isTallied = false
    /// Columns may be named whether they are grouped by or not.
    var isFree = false

    init(parent: Scope?) {
        self.parent = parent
        common = parent?.common ?? [:]
        commonSizes = parent?.commonSizes ?? [:]
    }

    struct Found {
        let relation: String
        let column: Column
        var sql: String { "\(quoted(relation)).\(quoted(column.name))" }
    }

    /// The column of a name, here or in a select around this one.
    /// - Parameters:
    ///   - isQuoted: the name stands in double quotes.
    ///   - others: what else may stand in its place.
    func column(
        _ table: String?, _ name: String, isQuoted: Bool = false, others: [String] = []
    ) throws(QueryError) -> Found {
        if let found = try known(table, name) { return found }
        var names = others
        var scope: Scope? = self
        while let here = scope {
            for relation in here.relations {
                names += relation.columns.map { table == nil ? $0.name : "\(relation.name).\($0.name)" }
            }
            scope = here.parent
        }
        throw .unknown("column", table.map { "\($0).\(name)" } ?? name, among: names, isQuoted: isQuoted && table == nil)
    }

    /// Nil: there is none.
    private func known(_ table: String?, _ name: String) throws(QueryError) -> Found? {
        let found = relations.flatMap { relation -> [Found] in
            guard table == nil || table == relation.name else { return [] }
            return relation.columns.filter { $0.name == name }.map { Found(relation: relation.name, column: $0) }
        }
        if found.count > 1 {
            throw .syntax("column \(name) is in several tables: write which, as in \(found[0].relation).\(name)")
        }
        if let column = found.first {
            // From a select within this one, one may be asked for that is grouped by.
            guard groups?.contains(ExactText(column.sql)) ?? true || isFree else {
                throw .syntax("column \(name) is neither grouped by nor in an aggregate")
            }
            return column
        }
        return try parent?.known(table, name)
    }

    /// Runs `body` where columns may be named freely, as within an aggregate.
    func freely<T>(_ body: () throws(QueryError) -> T) throws(QueryError) -> T {
        let before = isFree
        isFree = true
        defer { isFree = before }
        return try body()
    }
}

/// A name as SQLite reads it.
func quoted(_ name: String) -> String {
    enclosed(name, by: UInt8(ascii: "\""))
}

/// A text as SQLite reads it; one with NUL bytes goes by way of a blob.
func quotedText(_ text: String) -> String {
    guard !text.utf8.contains(0) else { return "CAST(\(quotedBlob(Array(text.utf8))) AS TEXT)" }
    return enclosed(text, by: UInt8(ascii: "'"))
}

/// Each quote within comes twice, whatever character its byte is a part of.
private func enclosed(_ text: String, by quote: UInt8) -> String {
    var bytes: [UInt8] = [quote]
    bytes.reserveCapacity(text.utf8.count + 2)
    for byte in text.utf8 {
        bytes.append(byte)
        if byte == quote { bytes.append(byte) }
    }
    bytes.append(quote)
    return String(decoding: bytes, as: UTF8.self)
}

func quotedBlob(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    var text = Array("x'".utf8)
    for byte in bytes {
        text.append(digits[Int(byte >> 4)])
        text.append(digits[Int(byte & 15)])
    }
    text.append(UInt8(ascii: "'"))
    return String(decoding: text, as: UTF8.self)
}
