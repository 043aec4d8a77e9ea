/// What the values of a column are.
package enum ColumnType: Equatable, Sendable {
    case utf8, int64, int32, uint8, uint32, uint64, float64, boolean, binary, null
    /// From text to text.
    case map
    /// Of texts.
    case list
    /// What a JSON document holds at a place: a text, a number, a truth value. Shown as text.
    case json

    /// The type that a cast names; nil: there is none of this name.
    init?(sqlName: String) {
        switch sqlName {
        case "text", "varchar", "char", "string", "character varying", "character": self = .utf8
        case "bigint", "int8", "smallint", "tinyint", "int2": self = .int64
        case "int", "integer", "int4": self = .int32
        case "double", "double precision", "float", "real", "float8", "decimal", "numeric": self = .float64
        case "boolean", "bool": self = .boolean
        case "bigint unsigned": self = .uint64
        case "int unsigned": self = .uint32
        case "tinyint unsigned": self = .uint8
        case "bytea", "blob": self = .binary
        default: return nil
        }
    }

    /// As clients are told (spec/query.md 8.1).
    package var name: String {
        switch self {
        case .utf8, .json: "Utf8"
        case .int64: "Int64"
        case .int32: "Int32"
        case .uint8: "UInt8"
        case .uint32: "UInt32"
        case .uint64: "UInt64"
        case .float64: "Float64"
        case .boolean: "Boolean"
        case .binary: "Binary"
        case .null: "Null"
        case .list: "List(\(Self.field("item", "Utf8", nullable: true)))"
        case .map: Self.mapName
        }
    }

    /// For people.
    var noun: String {
        switch self {
        case .map: "a map"
        case .list: "a list"
        case .binary: "binary data"
        default: "a text"
        }
    }

    private static let mapName: String = {
        let entry = "\(field("key", "Utf8", nullable: false)), \(field("value", "Utf8", nullable: true))"
        return "Map(\(field("entries", "Struct([\(entry)])", nullable: false)), false)"
    }()

    private static func field(_ name: String, _ type: String, nullable: Bool) -> String {
        "Field { name: \"\(name)\", data_type: \(type), nullable: \(nullable), dict_id: 0, dict_is_ordered: false, metadata: {} }"
    }

    var isInteger: Bool {
        switch self {
        case .int64, .int32, .uint8, .uint32, .uint64: true
        default: false
        }
    }

    var isNumber: Bool { isInteger || self == .float64 }
    private var isUnsigned: Bool { self == .uint8 || self == .uint32 || self == .uint64 }

    /// What integers of the type may be, as SQLite holds them.
    var bounds: ClosedRange<Int64> {
        switch self {
        case .int32: Int64(Int32.min)...Int64(Int32.max)
        case .uint8: 0...Int64(UInt8.max)
        case .uint32: 0...Int64(UInt32.max)
        case .uint64: 0...Int64.max
        default: Int64.min...Int64.max
        }
    }

    /// The type of a sum of such values.
    var sum: ColumnType {
        if self == .float64 || self == .json { return .float64 }
        return isUnsigned ? .uint64 : .int64
    }

    /// The type of values of which some are of one type and some of the other.
    func common(with other: ColumnType) -> ColumnType {
        if self == other || other == .null { return self }
        if self == .null { return other }
        if isInteger, other.isInteger { return isUnsigned && other.isUnsigned ? .uint64 : .int64 }
        if isNumber, other.isNumber { return .float64 }
        // A place in a document may hold either.
        if self == .json, other.isNumber || other == .boolean { return .json }
        if other == .json, isNumber || self == .boolean { return .json }
        return .utf8
    }
}

/// A column of a table or of a result.
package struct Column: Equatable, Sendable {
    package let name: String
    package let type: ColumnType
    package let isNullable: Bool
    /// It is never NULL, whether or not it may be told so.
    let isSet: Bool
    /// It is among those that `*` stands for.
    let isListed: Bool
    /// Nil: it has any texts.
    let words: FixedWords?

    package init(_ name: String, _ type: ColumnType, nullable: Bool = false) {
        self.init(name, type, nullable: nullable, isSet: !nullable)
    }

    init(
        _ name: String, _ type: ColumnType, nullable: Bool, isSet: Bool = false, isListed: Bool = true, words: FixedWords? = nil
    ) {
        self.name = name
        self.type = type
        isNullable = nullable
        self.isSet = isSet
        self.isListed = isListed
        self.words = words
    }

    init(_ name: String, nullable: Bool = false, words: FixedWords) {
        self.init(name, .utf8, nullable: nullable, isSet: !nullable, words: words)
    }

    func renamed(_ name: String) -> Column { Column(name, type, nullable: isNullable, isSet: isSet, words: words) }
    var nullable: Column {
        Column(name, type, nullable: true, isSet: false, isListed: isListed, words: words)
    }
}

/// What a caller gave for a placeholder.
package enum Parameter: Equatable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case unsigned(UInt64)
    case real(Double)
    case text(String)
    case blob([UInt8])

    var type: ColumnType {
        switch self {
        case .null: .null
        case .boolean: .boolean
        case .integer: .int64
        case .unsigned: .uint64
        case .real: .float64
        case .text: .utf8
        case .blob: .binary
        }
    }
}
