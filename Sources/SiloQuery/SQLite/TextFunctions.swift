import CSQLite
import Glibc

/// Functions of texts that SQLite has too. There a long text and a long part of it take hours, and nothing ends them; these look
/// now and then at whether the statement must end.
enum TextFunctions {
    typealias Body = ScalarFunctions.Body

    /// Where a part begins: the number of its first character, or of its first byte in binary data; 0: nowhere.
    static let position: Body = { context, _, values in
        guard let (text, part) = pair(context, values) else { return CellResult(context: context).null() }
        let countsBytes = sqlite3_value_type(values?[0]) == SQLITE_BLOB && sqlite3_value_type(values?[1]) == SQLITE_BLOB
        search(context) { search throws(QueryError) in
            let found = try search.first(part, in: text, from: 0)
            return { result in
                let before = found.map { text[..<$0] }
                result.integer(Int64(before.map { 1 + (countsBytes ? $0.count : $0.count { $0 & 0xc0 != 0x80 }) } ?? 0))
            }
        }
    }

    /// With each part replaced by another.
    static let replace: Body = { context, _, values in
        guard let (text, part) = pair(context, values), let new = ScalarFunctions.bytes(values?[2]) else {
            return CellResult(context: context).null()
        }
        search(context) { search throws(QueryError) in
            let replaced = try search.replaced(part, by: new, in: text)
            return { result in replaced.withUnsafeBytes { result.text($0) } }
        }
    }

    static let trim: Body = { trimmed($0, $1, $2, atStart: true, atEnd: true) }
    static let trimStart: Body = { trimmed($0, $1, $2, atStart: true, atEnd: false) }
    static let trimEnd: Body = { trimmed($0, $1, $2, atStart: false, atEnd: true) }

    /// Without characters of a set, blanks unless they are named, at one end or both.
    private static func trimmed(
        _ context: OpaquePointer?, _ count: Int32, _ values: UnsafeMutablePointer<OpaquePointer?>?, atStart: Bool, atEnd: Bool
    ) {
        let set = count == 2 ? ScalarFunctions.bytes(values?[1]) : nil
        guard let text = ScalarFunctions.bytes(values?[0]), count < 2 || set != nil else {
            return CellResult(context: context).null()
        }
        search(context) { search throws(QueryError) in
            let characters = try set.map { set throws(QueryError) in try search.characters(of: set) } ?? [0x20]
            let range = try search.trimmed(text, of: characters, atStart: atStart, atEnd: atEnd)
            return { result in result.text(UnsafeRawBufferPointer(rebasing: text[range])) }
        }
    }

    private static func pair(
        _ context: OpaquePointer?, _ values: UnsafeMutablePointer<OpaquePointer?>?
    ) -> (UnsafeRawBufferPointer, UnsafeRawBufferPointer)? {
        guard let text = ScalarFunctions.bytes(values?[0]), let part = ScalarFunctions.bytes(values?[1]) else { return nil }
        return (text, part)
    }

    /// Searches, and then gives what was found, or why not.
    private static func search(
        _ context: OpaquePointer?, _ body: (inout TextSearch) throws(QueryError) -> (CellResult) -> Void
    ) {
        let result = CellResult(context: context)
        guard let run = ScalarFunctions.run(context) else { return result.null() }
        var search = TextSearch(run)
        do throws(QueryError) {
            try body(&search)(result)
        } catch {
            run.failure = error
            result.error("the statement has ended")
        }
    }
}

/// A search that ends when its statement does.
private struct TextSearch {
    private let run: StatementRun
    private var left = bytesBetweenLooks
    /// Bytes compared between two looks at whether the statement must end.
    private static let bytesBetweenLooks = 1 << 22

    init(_ run: StatementRun) { self.run = run }

    /// The first place at or behind `start` where the part stands; an empty one stands everywhere.
    mutating func first(
        _ part: UnsafeRawBufferPointer, in text: UnsafeRawBufferPointer, from start: Int
    ) throws(QueryError) -> Int? {
        guard let head = part.first, let wanted = part.baseAddress else { return start }
        guard let base = text.baseAddress else { return nil }
        var position = start
        while position + part.count <= text.count {
            try spend(part.count)
            let places = text.count - part.count + 1 - position
            guard let found = memchr(base + position, Int32(head), places) else { return nil }
            position = base.distance(to: UnsafeRawPointer(found))
            if memcmp(base + position, wanted, part.count) == 0 { return position }
            position += 1
        }
        return nil
    }

    mutating func replaced(
        _ part: UnsafeRawBufferPointer, by new: UnsafeRawBufferPointer, in text: UnsafeRawBufferPointer
    ) throws(QueryError) -> [UInt8] {
        var replaced: [UInt8] = []
        var start = 0
        while !part.isEmpty, let found = try first(part, in: text, from: start) {
            guard replaced.count + (found - start) + new.count <= run.limits.valueBytesMax else {
                throw .execution("a value has more than \(run.limits.valueBytesMax) bytes")
            }
            replaced += text[start..<found]
            replaced += new
            start = found + part.count
        }
        return replaced + text[start...]
    }

    /// What a text is made of. A run of bytes that is no character is none of it.
    mutating func characters(of text: UnsafeRawBufferPointer) throws(QueryError) -> Set<UInt32> {
        var characters: Set<UInt32> = []
        var start = 0
        while start < text.count {
            try spend(Self.characterCost)
            let end = text.end(of: start)
            if let character = text.character(start..<end) { characters.insert(character) }
            start = end
        }
        return characters
    }

    /// What is left of a text without some characters at one end or both.
    mutating func trimmed(
        _ text: UnsafeRawBufferPointer, of characters: Set<UInt32>, atStart: Bool, atEnd: Bool
    ) throws(QueryError) -> Range<Int> {
        var (start, end) = (0, text.count)
        while atStart, start < end {
            try spend(Self.characterCost)
            let next = text.end(of: start)
            guard let character = text.character(start..<next), characters.contains(character) else { break }
            start = next
        }
        while atEnd, end > start {
            try spend(Self.characterCost)
            var last = end - 1
            while last > start, !text.isStart(last) { last -= 1 }
            guard let character = text.character(last..<end), characters.contains(character) else { break }
            end = last
        }
        return start..<end
    }

    /// What looking for a character in a set costs, in bytes compared.
    private static let characterCost = 16

    private mutating func spend(_ bytes: Int) throws(QueryError) {
        left -= bytes
        guard left < 0 else { return }
        left = Self.bytesBetweenLooks
        if let end = run.control.end { throw end }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether a character begins here.
    fileprivate func isStart(_ index: Int) -> Bool { self[index] & 0xc0 != 0x80 }

    /// The character that these bytes are; nil: they are too many for one.
    fileprivate func character(_ range: Range<Int>) -> UInt32? {
        range.count > 4 ? nil : range.reduce(UInt32(0)) { $0 << 8 | UInt32(self[$1]) }
    }

    /// Where the next character begins.
    fileprivate func end(of start: Int) -> Int {
        var end = start + 1
        while end < count, !isStart(end) { end += 1 }
        return end
    }
}
