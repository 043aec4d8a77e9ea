// What a statement says, as the parser understood it.

indirect enum Expression {
    case literal(Literal)
    /// From 1 on.
    case parameter(Int)
    case column(table: String?, name: String)
    case unary(String, Expression)
    /// Operators as SQLite writes them.
    case binary(String, Expression, Expression)
    case isNull(Expression, negated: Bool)
    case between(Expression, Expression, Expression, negated: Bool)
    case inList(Expression, [Expression], negated: Bool)
    case inSelect(Expression, Select, negated: Bool)
    case like(Expression, pattern: Expression, escape: Expression?, negated: Bool, ignoresCase: Bool)
    case call(Call)
    case cast(Expression, ColumnType)
    case choice(operand: Expression?, [(when: Expression, then: Expression)], otherwise: Expression?)
    case exists(Select)
    case subquery(Select)
    /// `metadata['key']`
    case element(Expression, Expression)
}

enum Literal: Equatable {
    case null
    case boolean(Bool)
    case integer(String)
    case real(String)
    case text(String)
    case blob([UInt8])
}

struct Call {
    let name: String
    var arguments: [Expression]
    var isDistinct = false
    /// `count(*)`
    var isStar = false
    var filter: Expression?
    var window: Window?
}

struct Window {
    var partition: [Expression] = []
    var order: [OrderTerm] = []
    /// Checked by the parser, passed on as it is written.
    var frame: String?
}

struct OrderTerm {
    let expression: Expression
    let descends: Bool
    let nullsFirst: Bool?
}

/// One SELECT with all that belongs to it.
final class Select {
    var tables: [CommonTable] = []
    var isRecursive = false
    /// The first has no operator.
    var cores: [(compound: String?, core: Core)] = []
    var order: [OrderTerm] = []
    var limit: Expression?
    var offset: Expression?
}

struct CommonTable {
    let name: String
    let columns: [String]
    let select: Select
}

enum Core {
    case select(SelectCore)
    case values([[Expression]])
}

struct SelectCore {
    var isDistinct = false
    var columns: [ResultColumn] = []
    var from: [FromItem] = []
    var condition: Expression?
    var group: [Expression] = []
    var having: Expression?
}

enum ResultColumn {
    case all(table: String?)
    /// `text` is what it says in the statement.
    case expression(Expression, alias: String?, text: String)
}

struct FromItem {
    enum Source {
        case table(String)
        case select(Select)
        /// Counts in the place of jobs: see `Rollup`.
        case jobCounts
        /// Tallies in the place of jobs: see `Tally`.
        case jobTallies
    }
    let source: Source
    let alias: String?
    /// How it is joined to what stands before it; nil: it is the first.
    let join: Join?

    struct Join {
        enum Kind: String {
            case inner = "INNER JOIN"
            case cross = "CROSS JOIN"
            case left = "LEFT JOIN"
        }
        let kind: Kind
        var condition: Expression?
        var using: [String] = []
    }

    /// Nil: it is a select.
    var table: String? {
        switch source {
        case .table(let name): name
        case .jobCounts, .jobTallies: "jobs"
        case .select: nil
        }
    }
}
