/// The functions that a statement may call. There are no others: nothing of SQLite is reached that is not listed here.
struct Function: Sendable {
    enum Result: Sendable {
        case type(ColumnType)
        /// Of the first argument.
        case argument
        /// Of all arguments together.
        case common
        /// Of the first and the third, where there is one.
        case neighbour
        case sum
    }
    let arguments: ClosedRange<Int>
    let result: Result
    /// As SQLite calls it.
    let name: String
    /// Places of arguments that are numbers: SQLite would make a 0 of anything else.
    let numbers: ClosedRange<Int>?

    init(_ arguments: ClosedRange<Int>, _ result: Result, as name: String, numbers: ClosedRange<Int>?) {
        self.arguments = arguments
        self.result = result
        self.name = name
        self.numbers = numbers
    }
}

enum Functions {
    static let aggregates: Set<String> = ["count", "sum", "avg", "min", "max", "total", "group_concat", "string_agg"]
    static let windows: Set<String> = [
        "row_number", "rank", "dense_rank", "ntile", "percent_rank", "cume_dist", "lag", "lead", "first_value", "last_value",
        "nth_value",
    ]

    static let all: [String: Function] = {
        var all: [String: Function] = [:]
        func add(
            _ names: String, _ arguments: ClosedRange<Int>, _ result: Function.Result, as target: String? = nil,
            numbers: ClosedRange<Int>? = nil
        ) {
            for name in names.split(separator: " ") {
                all[String(name)] = Function(arguments, result, as: target ?? String(name), numbers: numbers)
            }
        }
        let many = 1...64
        // Aggregates.
        add("count", 0...1, .type(.int64))
        add("sum", 1...1, .sum, numbers: 0...0)
        add("avg total", 1...1, .type(.float64), numbers: 0...0)
        add("min max", 1...1, .argument)
        add("group_concat string_agg", 1...2, .type(.utf8), as: "group_concat")
        // Windows.
        add("row_number rank dense_rank", 0...0, .type(.uint64))
        add("ntile", 1...1, .type(.uint64), numbers: 0...0)
        add("percent_rank cume_dist", 0...0, .type(.float64))
        add("lag lead", 1...3, .neighbour, numbers: 1...1)
        add("first_value last_value", 1...1, .argument)
        add("nth_value", 2...2, .argument, numbers: 1...1)
        // Choice.
        add("coalesce", 2...64, .common)
        add("ifnull nvl", 2...2, .common, as: "ifnull")
        add("nullif", 2...2, .argument)
        add("greatest", 2...64, .common, as: "max")
        add("least", 2...64, .common, as: "min")
        // Text.
        add("lower upper", 1...1, .type(.utf8))
        add("length char_length character_length", 1...1, .type(.int64), as: "length")
        add("octet_length", 1...1, .type(.int64), as: "silo_octets")
        add("substr substring", 2...3, .type(.utf8), as: "substr", numbers: 1...2)
        add("trim btrim", 1...2, .type(.utf8), as: "silo_trim")
        add("ltrim", 1...2, .type(.utf8), as: "silo_ltrim")
        add("rtrim", 1...2, .type(.utf8), as: "silo_rtrim")
        add("replace", 3...3, .type(.utf8), as: "silo_replace")
        add("strpos instr", 2...2, .type(.int64), as: "silo_instr")
        add("concat", many, .type(.utf8), as: "silo_concat")
        add("starts_with", 2...2, .type(.boolean), as: "silo_starts_with")
        add("ends_with", 2...2, .type(.boolean), as: "silo_ends_with")
        add("contains", 2...2, .type(.boolean), as: "silo_text_contains")
        add("hex", 1...1, .type(.utf8))
        // Numbers.
        add("abs", 1...1, .argument, numbers: 0...0)
        add("round", 1...2, .type(.float64), numbers: 0...1)
        add("floor ceil sqrt ln log10 log2 exp", 1...1, .type(.float64), numbers: 0...0)
        add("power pow", 2...2, .type(.float64), as: "power", numbers: 0...1)
        // JSON, such as payloads.
        add("json_extract", 2...2, .type(.json))
        add("json_array_length", 1...2, .type(.int64))
        add("json_type", 1...2, .type(.utf8))
        add("json_valid", 1...1, .type(.boolean))
        // Metadata.
        add("element_at map_extract", 2...2, .type(.list), as: "silo_element")
        add("array_contains array_has list_contains list_has", 2...2, .type(.boolean), as: "silo_contains")
        add("array_any_value list_any_value", 1...1, .type(.utf8), as: "silo_any_value")
        add("map_keys", 1...1, .type(.list), as: "silo_keys")
        add("map_values", 1...1, .type(.list), as: "silo_values")
        add("cardinality array_length", 1...1, .type(.uint64), as: "silo_cardinality")
        // The time of the statement, in milliseconds since the Unix epoch.
        add("now_ms", 0...0, .type(.int64), as: "silo_now")
        return all
    }()
}
