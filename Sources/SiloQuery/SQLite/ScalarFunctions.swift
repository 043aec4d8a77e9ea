import CSQLite
import SiloCore

/// The functions of the language that SQLite does not have, or has with another meaning.
enum ScalarFunctions {
    typealias Body = @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void

    private static let all: [(name: String, arguments: Int32, body: Body)] = [
        ("like", 2, Matching.like), ("like", 3, Matching.like), ("silo_ilike", 2, Matching.ilike),
        ("silo_ilike", 3, Matching.ilike),
        ("silo_starts_with", 2, Matching.startsWith), ("silo_ends_with", 2, Matching.endsWith),
        ("silo_text_contains", 2, Matching.contains), ("silo_instr", 2, TextFunctions.position),
        ("silo_replace", 3, TextFunctions.replace), ("silo_trim", 1, TextFunctions.trim), ("silo_trim", 2, TextFunctions.trim),
        ("silo_ltrim", 1, TextFunctions.trimStart), ("silo_ltrim", 2, TextFunctions.trimStart),
        ("silo_rtrim", 1, TextFunctions.trimEnd), ("silo_rtrim", 2, TextFunctions.trimEnd),
        ("silo_has", 2, MetadataFunctions.has), ("silo_prefix", 2, MetadataFunctions.hasPrefix),
        ("silo_value", 2, MetadataFunctions.value), ("silo_element", 2, MetadataFunctions.element),
        ("silo_any_value", 1, MetadataFunctions.anyValue), ("silo_contains", 2, MetadataFunctions.contains),
        ("silo_keys", 1, MetadataFunctions.keys), ("silo_values", 1, MetadataFunctions.values),
        ("silo_cardinality", 1, MetadataFunctions.cardinality), ("silo_map_text", 1, MetadataFunctions.mapText),
        ("silo_list_text", 1, MetadataFunctions.listText),
        ("silo_to_integer", 3, Casts.integer), ("silo_to_double", 1, Casts.double), ("silo_to_number", 1, Casts.number),
        ("silo_json_number", 1, Casts.numberIfAny), ("silo_to_boolean", 1, Casts.boolean),
        ("silo_boolean_text", 1, Casts.booleanText),
        ("silo_concat", -1, concat), ("silo_octets", 1, octets), ("silo_now", 0, now),
    ]

    static func register(on connection: OpaquePointer, for run: StatementRun) -> Int32 {
        let context = Unmanaged.passUnretained(run).toOpaque()
        for function in all {
            let code = sqlite3_create_function_v2(
                connection, function.name, function.arguments, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS, context,
                function.body, nil, nil, nil)
            guard code == SQLITE_OK else { return code }
        }
        return SQLITE_OK
    }

    /// The statement whose function this is.
    static func run(_ context: OpaquePointer?) -> StatementRun? {
        sqlite3_user_data(context).map { Unmanaged<StatementRun>.fromOpaque($0).takeUnretainedValue() }
    }

    private static let concat: Body = { context, count, values in
        let result = CellResult(context: context)
        guard let most = run(context)?.limits.valueBytesMax else { return result.null() }
        var text: [UInt8] = []
        for index in 0..<Int(count) {
            guard let part = bytes(values?[index]) else { continue }
            guard text.count + part.count <= most else { return result.tooLarge() }
            text += part
        }
        text.withUnsafeBytes { result.text($0) }
    }

    private static let octets: Body = { context, _, values in
        let result = CellResult(context: context)
        guard let bytes = bytes(values?[0]) else { return result.null() }
        result.integer(Int64(bytes.count))
    }

    private static let now: Body = { context, _, _ in
        CellResult(context: context).integer(run(context)?.query.now.milliseconds)
    }

    /// The bytes of a text or a blob, or of a number as text; nil: it is NULL. They last until the function returns.
    static func bytes(_ value: OpaquePointer?) -> UnsafeRawBufferPointer? {
        switch sqlite3_value_type(value) {
        case SQLITE_NULL: return nil
        case SQLITE_BLOB:
            return UnsafeRawBufferPointer(start: sqlite3_value_blob(value), count: Int(sqlite3_value_bytes(value)))
        default:
            let text = sqlite3_value_text(value)
            return UnsafeRawBufferPointer(start: text, count: text == nil ? 0 : Int(sqlite3_value_bytes(value)))
        }
    }

    static func text(_ value: OpaquePointer?) -> String? { bytes(value).map { String(decoding: $0, as: UTF8.self) } }
}

/// Casts that fail where SQLite would make a 0 of what is no number.
private enum Casts {
    static let integer: ScalarFunctions.Body = { context, _, values in
        let result = CellResult(context: context)
        let (low, high) = (sqlite3_value_int64(values?[1]), sqlite3_value_int64(values?[2]))
        let number: Int64?
        switch SQLiteValue(values?[0]) {
        case .null: return result.null()
        case .integer(let value): number = value
        case .real(let value): number = Int64(exactly: value.rounded(.towardZero))
        case .text(let text): number = Int64(text)
        case .blob: number = nil
        }
        guard let number, (low...max(low, high)).contains(number) else {
            return result.error("cannot cast \(shown(values?[0])) to an integer of \(low) to \(high)")
        }
        result.integer(number)
    }

    static let double: ScalarFunctions.Body = { context, _, values in
        let result = CellResult(context: context)
        switch SQLiteValue(values?[0]) {
        case .null: result.null()
        case .integer(let value): result.real(Double(value))
        case .real(let value): result.real(value)
        case .text(let text):
            if let value = Double(text), value.isFinite { return result.real(value) }
            result.error("cannot cast \(shown(values?[0])) to a number")
        case .blob: result.error("cannot cast \(shown(values?[0])) to a number")
        }
    }

    /// As exact as it is: other than a fraction, a whole number of 64 bits has all its digits.
    static let number: ScalarFunctions.Body = { context, _, values in
        let result = CellResult(context: context)
        if !give(SQLiteValue(values?[0]), to: result) { result.error("cannot cast \(shown(values?[0])) to a number") }
    }

    /// The same; NULL for what is none.
    static let numberIfAny: ScalarFunctions.Body = { context, _, values in
        let result = CellResult(context: context)
        if !give(SQLiteValue(values?[0]), to: result) { result.null() }
    }

    /// False: it is no number.
    private static func give(_ value: SQLiteValue, to result: CellResult) -> Bool {
        switch value {
        case .null: result.null()
        case .integer(let value): result.integer(value)
        case .real(let value): result.real(value)
        case .text(let text):
            if let value = Int64(text) {
                result.integer(value)
            } else if let value = Double(text), value.isFinite {
                result.real(value)
            } else {
                return false
            }
        case .blob: return false
        }
        return true
    }

    static let boolean: ScalarFunctions.Body = { context, _, values in
        let result = CellResult(context: context)
        switch SQLiteValue(values?[0]) {
        case .null: result.null()
        case .integer(let value): result.integer(value == 0 ? 0 : 1)
        case .real(let value): result.integer(value == 0 ? 0 : 1)
        case .text(let text):
            switch text.lowercased() {
            case "true", "t", "yes", "1": result.integer(1)
            case "false", "f", "no", "0": result.integer(0)
            default: result.error("cannot cast \(shown(values?[0])) to a boolean")
            }
        case .blob: result.error("cannot cast \(shown(values?[0])) to a boolean")
        }
    }

    static let booleanText: ScalarFunctions.Body = { context, _, values in
        let result = CellResult(context: context)
        if case .null = SQLiteValue(values?[0]) { return result.null() }
        result.text(sqlite3_value_int64(values?[0]) != 0 ? "true" as StaticString : "false")
    }

    private static func shown(_ value: OpaquePointer?) -> String {
        switch SQLiteValue(value) {
        case .text(let text): "'\(text.prefix(40))'"
        case .blob: "binary data"
        case let other: other.text ?? "NULL"
        }
    }
}
