import CSQLite
import SiloCore

/// A comparison that a table may be given to answer.
struct Constraint: Hashable {
    enum Comparison: Hashable {
        case equal, less, lessOrEqual, greater, greaterOrEqual
        /// Functions of the column and one more argument.
        case has, hasPrefix
        /// Of a pattern with both wildcards and no escape.
        case like
    }
    let column: Int
    let comparison: Comparison

    init(_ column: Int, _ comparison: Comparison) {
        self.column = column
        self.comparison = comparison
    }
}

/// One way to scan a table, which SQLite chose among those that it asked for.
final class ScanPlan {
    /// What the scan is given, in order; LIMIT and OFFSET are told as well, and not left to the table.
    enum Argument: Equatable {
        case constraint(Constraint)
        case limit
        case offset
    }
    let arguments: [Argument]
    /// Bits of the columns that are read.
    let columnsUsed: UInt64
    /// The scan gives its rows in the order that was asked for.
    let isOrdered: Bool
    /// How many parts of the condition the scan answers, and nobody checks again.
    let exactCount: Int
    /// Columns in comparisons that SQLite makes itself.
    let checkedAgain: Set<Int>
    /// The scan passes over the rows of OFFSET.
    let skipsRows: Bool

    init(
        _ arguments: [Argument], columnsUsed: UInt64, isOrdered: Bool, exactCount: Int, checkedAgain: Set<Int>, skipsRows: Bool
    ) {
        self.arguments = arguments
        self.columnsUsed = columnsUsed
        self.isOrdered = isOrdered
        self.exactCount = exactCount
        self.checkedAgain = checkedAgain
        self.skipsRows = skipsRows
    }

    func uses(_ column: Int) -> Bool { columnsUsed & (1 << UInt64(min(column, 63))) != 0 }
}

/// A table that a statement can read. A subclass says what it has and how it is scanned.
class VirtualTable {
    let name: String
    let columns: [Column]
    /// Names of further columns, behind the others, which no statement sees.
    private let hidden: [String]
    /// Outlives it: it runs the statement whose table this is.
    unowned let run: StatementRun
    private var plans: [ScanPlan] = []

    init(_ name: String, _ columns: [Column], hidden: [String] = [], _ run: StatementRun) {
        self.name = name
        self.columns = columns
        self.hidden = hidden
        self.run = run
    }

    /// Whether a scan can be given a comparison.
    func accepts(_ constraint: Constraint) -> Bool { false }

    /// Those that a scan that is given them all answers so that nobody need check them again.
    func exact(_ constraints: Set<Constraint>) -> Set<Constraint> { [] }

    /// How many rows a scan with such comparisons may have to read, roughly.
    func rows(_ constraints: Set<Constraint>) -> Double { 1_000_000 }

    /// Whether such a scan gives its rows in this order: columns, each with whether it descends.
    func isOrdered(by order: [(column: Int, descends: Bool)], _ constraints: [(Constraint, value: String?)]) -> Bool { false }

    /// Whether a scan can pass over rows that are not wanted, more cheaply than reading them.
    var skipsRows: Bool { false }

    func cursor() -> TableCursor { TableCursor() }

    final func plan(_ number: Int) -> ScanPlan? { plans.indices.contains(number) ? plans[number] : nil }
    final func keep(_ plan: ScanPlan) -> Int {
        plans.append(plan)
        return plans.count - 1
    }

    /// As SQLite is told of it.
    final var schema: String {
        let columns = columns.map { column in
            let affinity =
                switch column.type {
                case .utf8, .json: "TEXT"
                case .float64: "REAL"
                case .binary, .map, .list, .null: "BLOB"
                default: "INTEGER"
                }
            return "\(quoted(column.name)) \(affinity)\(column.isNullable ? "" : " NOT NULL")"
        }
        return "CREATE TABLE x(\((columns + hidden.map { "\(quoted($0)) BLOB HIDDEN" }).joined(separator: ", ")))"
    }

    final func register(on connection: OpaquePointer) -> Int32 {
        sqlite3_create_module_v2(connection, name, &TableModule.module, Unmanaged.passUnretained(self).toOpaque(), nil)
    }
}

/// A scan in progress. A subclass has the rows.
class TableCursor {
    /// The lists that the scan is given.
    final var lists: HeldRows?

    /// Begins anew.
    func filter(_ plan: ScanPlan, _ arguments: ScanArguments) throws(QueryError) {}
    func next() throws(QueryError) {}
    var isAtEnd: Bool { true }
    func column(_ number: Int, _ result: CellResult) throws(QueryError) {}
}

/// The values that a scan is given.
struct ScanArguments {
    /// Values of each comparison, of which a row has to meet one. Nil in place of NULL, which nothing meets.
    let values: [Constraint: [SQLiteValue]]
    /// Rows that are wanted, with those that are passed over; nil: all.
    let rowsWanted: Int?
    /// Those that the scan passes over; SQLite sees none of them.
    let rowsSkipped: Int
    /// Whose rows there are at all, whatever is asked; nil: everybody's.
    let audience: [Tenant]?

    /// The tenants that rows may be of; nil: any.
    func tenants(_ constraint: Constraint) -> [Tenant]? {
        let asked = texts(constraint)?.unique.map { Tenant($0) }
        guard let audience else { return asked }
        return asked?.filter(audience.contains) ?? audience
    }

    func texts(_ constraint: Constraint) -> [String]? { values[constraint].map { $0.compactMap(\.text) } }
    func integer(_ constraint: Constraint) -> SQLiteValue? { values[constraint]?.first }
}

/// A value that SQLite gave.
enum SQLiteValue {
    case null
    case integer(Int64)
    case real(Double)
    case text(String)
    case blob([UInt8])

    init(_ value: OpaquePointer?) {
        switch sqlite3_value_type(value) {
        case SQLITE_INTEGER: self = .integer(sqlite3_value_int64(value))
        case SQLITE_FLOAT: self = .real(sqlite3_value_double(value))
        case SQLITE_TEXT:
            let bytes = UnsafeBufferPointer(start: sqlite3_value_text(value), count: Int(sqlite3_value_bytes(value)))
            self = .text(String(decoding: bytes, as: UTF8.self))
        case SQLITE_BLOB:
            let bytes = UnsafeRawBufferPointer(start: sqlite3_value_blob(value), count: Int(sqlite3_value_bytes(value)))
            self = .blob([UInt8](bytes))
        default: self = .null
        }
    }

    /// Of memory, beside its place in a list.
    var bytes: Int {
        switch self {
        case .null, .integer, .real: 0
        case .text(let text): text.utf8.count
        case .blob(let bytes): bytes.count
        }
    }

    /// Nothing tells them apart, as little as two NULLs.
    func isSame(as other: SQLiteValue) -> Bool {
        switch (self, other) {
        case (.null, .null): true
        case (.integer(let one), .integer(let two)): one == two
        case (.real(let one), .real(let two)): one == two
        case (.text(let one), .text(let two)): one.hasSameBytes(as: two)
        case (.blob(let one), .blob(let two)): one == two
        default: false
        }
    }

    /// As a column of texts is compared with it; nil: nothing is equal to it.
    var text: String? {
        switch self {
        case .text(let text): text
        case .integer(let number): String(number)
        case .real(let number): String(number)
        case .null, .blob: nil
        }
    }
}

/// Where the value of a cell goes.
struct CellResult {
    let context: OpaquePointer?

    func null() { sqlite3_result_null(context) }
    func integer(_ number: Int64) { sqlite3_result_int64(context, number) }
    func integer(_ number: Int64?) { number.map { integer($0) } ?? null() }
    func real(_ number: Double) { sqlite3_result_double(context, number) }

    func text(_ text: String) {
        var text = text
        text.withUTF8 { self.text(UnsafeRawBufferPointer($0)) }
    }

    func text(_ bytes: UnsafeRawBufferPointer) {
        sqlite3_result_text64(
            context, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), UInt64(bytes.count), csqlite_transient(),
            UInt8(SQLITE_UTF8))
        if bytes.baseAddress == nil { sqlite3_result_text(context, "", 0, nil) }
    }

    /// A text that outlives the statement.
    func text(_ text: StaticString) {
        text.withUTF8Buffer { bytes in
            sqlite3_result_text64(
                context, UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self), UInt64(bytes.count), nil,
                UInt8(SQLITE_UTF8))
        }
    }

    func blob(_ bytes: [UInt8]) {
        if bytes.isEmpty { return sqlite3_result_zeroblob(context, 0) }
        sqlite3_result_blob64(context, bytes, UInt64(bytes.count), csqlite_transient())
    }

    func error(_ message: String) { sqlite3_result_error(context, message, -1) }
    /// More bytes than a value may have.
    func tooLarge() { sqlite3_result_error_toobig(context) }
}
