/// Finds what somebody meant who wrote a name that there is not.
package enum Nearest {
    /// What callers wrote may be long, and they may have named very many things.
    private static let (bytesMax, namesMax) = (100, 1000)

    /// The most similar of `names`: one that differs in few letters, or that shares a word. Nil when all are far.
    package static func name(to wrong: String, among names: [String]) -> String? {
        let letters = Array(wrong.utf8.prefix(bytesMax))
        let words = words(letters)
        let ranked = names.prefix(namesMax).map { name in
            let own = Array(name.utf8.prefix(bytesMax))
            return (name: name, shared: sharedWords(words, self.words(own)), distance: distance(letters, own))
        }
        let best = ranked.min { ($1.shared, $0.distance) < ($0.shared, $1.distance) }
        let near = ranked.min { $0.distance < $1.distance }
        // Of two letters and three, two others make any word.
        let distanceMax = min(max(2, letters.count / 4), letters.count / 2)
        if let near, near.distance <= distanceMax { return near.name }
        guard let best, best.shared > 0 else { return nil }
        return best.name
    }

    private static func words(_ letters: [UInt8]) -> [[UInt8]] {
        letters.split { $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }.map { Array($0) }
    }

    /// Words of four letters and more that begin alike, such as `shards` and `shard`, or differ in one letter.
    private static func sharedWords(_ left: [[UInt8]], _ right: [[UInt8]]) -> Int {
        left.count { word in
            right.contains { other in
                guard min(word.count, other.count) >= 4 else { return false }
                return word.starts(with: other) || other.starts(with: word) || distance(word, other) <= 1
            }
        }
    }

    /// Letters to be put in, taken out or replaced, or neighbours to be swapped.
    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var before: [Int] = []
        var row = Array(0...right.count)
        for index in left.indices {
            var next = [index + 1]
            for column in right.indices {
                let isSame = left[index] == right[column]
                var least = min(row[column] + (isSame ? 0 : 1), row[column + 1] + 1, next[column] + 1)
                if index > 0, column > 0, left[index] == right[column - 1], left[index - 1] == right[column] {
                    least = min(least, before[column - 1] + 1)
                }
                next.append(least)
            }
            (before, row) = (row, next)
        }
        return row[right.count]
    }
}
