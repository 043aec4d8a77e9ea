/// The text of a heap profile, from gperftools' form into that of jemalloc, which other tools of Silo expect:
///
///     heap profile:  12: 3456 [  20: 5000] @ heapprofile        heap_v2/1
///        1:      24 [     2:      48] @ 0x1 0x2                   t*: 12: 3456 [20: 5000]
///                                                               @ 0x1 0x2
///                                                                 t*: 1: 24 [2: 48]
///
/// What comes after an empty line, the memory map, stays as it is.
public enum HeapText {
    public static func converted(_ text: String) -> String {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false)[...]
        guard let head = lines.popFirst(), let total = counts(head.dropFirst("heap profile:".count)) else { return text }
        // Every allocation was recorded, not one in so many bytes.
        var result = "heap_v2/1\n  t*: \(total.counts)\n"
        while let line = lines.first, !line.isEmpty, let entry = counts(line) {
            result += "@ \(entry.stack)\n  t*: \(entry.counts)\n"
            lines.removeFirst()
        }
        return result + "\n" + lines.drop { $0.isEmpty }.joined(separator: "\n")
    }

    /// `n: bytes [n: bytes] @ stack`, with the blanks that align it left out.
    private static func counts(_ line: Substring) -> (counts: String, stack: String)? {
        guard let at = line.firstIndex(of: "@") else { return nil }
        let numbers = line[..<at].split { !$0.isNumber }
        guard numbers.count == 4 else { return nil }
        let stack = line[line.index(after: at)...].split(separator: " ").joined(separator: " ")
        return ("\(numbers[0]): \(numbers[1]) [\(numbers[2]): \(numbers[3])]", stack)
    }
}
