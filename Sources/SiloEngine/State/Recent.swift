/// What was used lately, by key: when there is much, the half that was used longest ago is forgotten, at no cost for each use.
struct Recent<Key: Hashable, Value> {
    private var recent: [Key: Value] = [:]
    private var older: [Key: Value] = [:]
    private let countMax: Int

    /// - Parameter countMax: how many are remembered at least; never more than twice as many.
    init(_ countMax: Int) {
        self.countMax = max(1, countMax)
    }

    var count: Int { recent.count + older.count }

    subscript(key: Key) -> Value? { recent[key] ?? older[key] }

    mutating func forget(_ key: Key) {
        recent[key] = nil
        older[key] = nil
    }

    mutating func set(_ key: Key, _ value: Value) {
        older[key] = nil
        if recent.count >= countMax, recent[key] == nil {
            older = recent
            recent = [:]
        }
        recent[key] = value
    }
}
