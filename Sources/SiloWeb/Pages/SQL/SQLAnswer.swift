import SiloAPI

/// What a statement came to.
struct SQLAnswer: Sendable {
    struct Column: Sendable, Equatable {
        let name: String
        /// An Arrow type, such as `Int64`.
        let type: String

        var isNumber: Bool { type.hasPrefix("Int") || type.hasPrefix("UInt") || type.hasPrefix("Float") }
        var isWhole: Bool { type == "Int64" || type == "UInt64" }
    }
    let columns: [Column]
    /// The values of each row, in the order of the columns.
    let rows: [[MessagePack]]
    /// There are more rows.
    var isCut = false
    /// Of a partial answer: the shards whose rows are not there, or not all of them, and why.
    var missing: [(shard: String, reason: String)] = []
    /// What the statement hardly meant.
    var notices: [String] = []
    /// Whole numbers that stand for times, by their place among the columns.
    let times: Set<Int>

    /// - Parameter rows: each has a value for each column.
    init(columns: [Column], rows: [[MessagePack]]) {
        self.columns = columns
        self.rows = rows
        times = Set(
            columns.indices.filter { index in columns[index].isWhole && Self.areTimes(rows.lazy.map { $0[index] }) })
    }

    init(_ response: SiloV1.QueryResponse) {
        let columns = response.columns.map { Column(name: $0.name, type: $0.dataType) }
        self.init(columns: columns, rows: response.rows.map { Self.cells($0, columns) })
        isCut = response.isCut
        missing = response.missingShards.map { ($0.shardId, $0.reason) }
        notices = response.notices
    }

    /// Whether whole numbers are milliseconds since 1970, from 2001 to 2128: nothing else is as large and that much alike.
    private static func areTimes(_ values: some Sequence<MessagePack>) -> Bool {
        var isAny = false
        for value in values where value != .null {
            guard let number = value.int, (1_000_000_000_000..<5_000_000_000_000).contains(number) else { return false }
            isAny = true
        }
        return isAny
    }

    /// Two columns of a join may have one name: the order says which is which, where a row has them all.
    static func cells(_ row: SiloV1.SerializedBytes, _ columns: [Column]) -> [MessagePack] {
        guard case .msgpack(let bytes)? = row.encoding, case .map(let pairs)? = try? MessagePack(bytes) else {
            return columns.map { _ in .null }
        }
        let isInOrder = pairs.count == columns.count && zip(pairs, columns).allSatisfy { $0.key == .text($1.name) }
        if isInOrder { return pairs.map(\.value) }
        return columns.map { column in pairs.first { $0.key == .text(column.name) }?.value ?? .null }
    }
}

extension MessagePack {
    /// A value as files of CSV have it; nil for NULL.
    var csvText: String? {
        switch self {
        case .null: nil
        case .text(let text): text
        case .bool(let value): value ? "true" : "false"
        case .int(let number): "\(number)"
        case .uint(let number): "\(number)"
        case .double(let number): "\(number)"
        case .bytes(let bytes), .other(_, let bytes): Hex.digits(bytes[...])
        case .array, .map: outline
        }
    }

    /// What has no place in a table, in a few words.
    private var outline: String {
        var outline = MessagePackOutline()
        return outline.text(self)
    }

    /// A number that can be drawn.
    var drawable: Double? {
        switch self {
        case .int(let number): Double(number)
        case .uint(let number): Double(number)
        case .double(let number): number.isFinite ? number : nil
        default: nil
        }
    }
}
