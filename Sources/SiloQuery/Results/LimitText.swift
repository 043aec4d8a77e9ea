import SiloStore

/// A job's limits as JSON text (spec/query.md 2.1).
enum LimitText {
    static func json(_ limits: [StorageV1.Limit]) -> String {
        "[" + limits.compactMap(entry).joined(separator: ",") + "]"
    }

    private static func entry(_ limit: StorageV1.Limit) -> String? {
        switch limit.kind {
        case .concurrency(let slots): object(slots.key, "Concurrency", "\(slots.maxConcurrency)")
        case .rate(let rate): object(rate.uniqueKey, "Rate", "\(rate.limit) per \(rate.durationMs)ms")
        case .floating(let floating): object(floating.key, "Floating Concurrency", "\(floating.defaultMaxConcurrency)")
        case nil: nil
        }
    }

    private static func object(_ key: String, _ kind: String, _ value: String) -> String {
        "{\"key\":\(JSONText.quoted(key)),\"limit_type\":\"\(kind)\",\"value\":\"\(value)\"}"
    }
}
