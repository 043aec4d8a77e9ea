/// Finds what somebody meant who wrote a name that there is not.
package enum Nearest {
    /// The most similar of `names`: one that differs in few letters, or that shares a word. Nil when all are far.
    package static func name(to wrong: String, among names: [String]) -> String? {
        let ranked = names.map { name in
            (name: name, shared: sharedWords(wrong, name), distance: distance(Array(wrong.utf8.prefix(100)), Array(name.utf8)))
        }
        let best = ranked.min { ($1.shared, $0.distance) < ($0.shared, $1.distance) }
        let near = ranked.min { $0.distance < $1.distance }
        if let near, near.distance <= max(2, wrong.utf8.count / 4) { return near.name }
        guard let best, best.shared > 0 else { return nil }
        return best.name
    }

    /// Words of four letters and more that begin alike, such as `shards` and `shard`.
    private static func sharedWords(_ left: String, _ right: String) -> Int {
        let words = right.split(separator: "_")
        return left.split(separator: "_").count { word in
            words.contains { min(word.count, $0.count) >= 4 && (word.hasPrefix($0) || $0.hasPrefix(word)) }
        }
    }

    /// Letters to be put in, taken out or replaced.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (index, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for column in right.indices {
                let changed = diagonal + (letter == right[column] ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(changed, diagonal + 1, row[column] + 1)
            }
        }
        return row[right.count]
    }
}
