import SiloCore
import SiloStore

/// The ids that a statement lets pass, as far as a range of keys can tell: rows outside it need not be read.
struct IdRange: Sendable {
    /// What ids begin with.
    private let prefix: String?
    private let bounds: [(comparison: Constraint.Comparison, id: String)]
    private static let comparisons: [Constraint.Comparison] = [.greater, .greaterOrEqual, .less, .lessOrEqual]
    /// With them the text in a key ends.
    private static let endBytes = 2

    /// Whether a scan of keys makes use of a comparison of ids.
    static func has(_ comparison: Constraint.Comparison) -> Bool { comparison == .like || comparisons.contains(comparison) }

    init(_ arguments: ScanArguments, column: Int) {
        func text(_ comparison: Constraint.Comparison) -> String? {
            arguments.texts(Constraint(column, comparison))?.first
        }
        let beginning = text(.like).map { String(decoding: $0.utf8.prefix { !$0.isWildcard }, as: UTF8.self) } ?? ""
        prefix = beginning.isEmpty ? nil : beginning
        bounds = Self.comparisons.compactMap { comparison in text(comparison).map { (comparison, $0) } }
    }

    var isAll: Bool { prefix == nil && bounds.isEmpty }

    /// The part of a tenant's jobs.
    func range(_ keys: TenantKeys) -> (start: Bytes, end: Bytes) {
        var (start, end) = keys.jobs
        func raise(_ key: Bytes) { if start.lexicographicallyPrecedes(key) { start = key } }
        func lower(_ key: Bytes) { if key.lexicographicallyPrecedes(end) { end = key } }
        if let prefix {
            let first = Bytes(keys.job(JobID(prefix)).dropLast(Self.endBytes))
            raise(first)
            lower(Slice.successor(of: first))
        }
        for (comparison, id) in bounds {
            let key = keys.job(JobID(id))
            switch comparison {
            case .greater: raise(key + [0])
            case .greaterOrEqual: raise(key)
            case .less: lower(key)
            default: lower(key + [0])
            }
        }
        return (start, end)
    }

    /// As plans show it.
    var description: String {
        let signs: [Constraint.Comparison: String] = [.greater: ">", .greaterOrEqual: ">=", .less: "<", .lessOrEqual: "<="]
        let parts = bounds.map { "id\(signs[$0.comparison] ?? "")\"\($0.id)\"" } + (prefix.map { ["id from \"\($0)\" on"] } ?? [])
        return "IdRange: \(parts.joined(separator: ", "))"
    }
}
