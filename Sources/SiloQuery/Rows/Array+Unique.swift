import SiloCore

extension Array where Element: Hashable {
    /// Each once, in the order in which they come first.
    var unique: [Element] {
        var seen: Set<Element> = []
        return filter { seen.insert($0).inserted }
    }
}

extension [String] {
    /// Each once: texts of other bytes are others, though they look alike.
    var unique: [String] { map { JobID($0) }.unique.map(\.text) }
}
