/// Writes MessagePack documents as compact JSON text with sorted keys, one after another into the same memory.
struct PayloadText {
    /// What was written last.
    private(set) var text: [UInt8] = []
    /// Of the maps that are being written, the outermost first.
    private var entries: [Entry] = []
    /// A map that is put in order.
    private var unsorted: [UInt8] = []
    private static let depthMax = 64

    private struct Entry {
        /// In the document, without what says how long it is.
        let key: Range<Int>
        /// In the text, without the comma behind it.
        let start: Int
        var end = 0
    }

    /// - Returns: false where JSON has no words for it: no document or several, binary data, extensions, keys that are no texts,
    ///   numbers that are none. The text is of no use then.
    mutating func write(_ bytes: UnsafeRawBufferPointer, in range: Range<Int>) -> Bool {
        text.removeAll(keepingCapacity: true)
        entries.removeAll(keepingCapacity: true)
        guard !range.isEmpty, range.upperBound <= bytes.count else { return false }
        var document = PackedBytes(bytes, range)
        guard value(&document, depth: 0), document.isAtEnd else { return false }
        return document.isASCII || String(validating: text, as: UTF8.self) != nil
    }

    private mutating func value(_ document: inout PackedBytes, depth: Int) -> Bool {
        guard depth <= Self.depthMax, let head = document.byte() else { return false }
        switch head {
        case 0x00...0x7f: text.appendDecimal(UInt64(head))
        case 0xe0...0xff: text.appendDecimal(Int64(Int8(bitPattern: head)))
        case 0x80...0x8f: return map(Int(head & 15), &document, depth)
        case 0x90...0x9f: return array(Int(head & 15), &document, depth)
        case 0xa0...0xbf, 0xd9...0xdb:
            guard let content = document.string(head) else { return false }
            JSONText.append(document.bytes(content), to: &text)
        case 0xc0: text += "null".utf8
        case 0xc2: text += "false".utf8
        case 0xc3: text += "true".utf8
        case 0xca: return document.number(4).map { real(Double(Float(bitPattern: UInt32(truncatingIfNeeded: $0)))) } ?? false
        case 0xcb: return document.number(8).map { real(Double(bitPattern: $0)) } ?? false
        case 0xcc...0xcf:
            guard let number = document.number(1 << Int(head - 0xcc)) else { return false }
            text.appendDecimal(number)
        case 0xd0...0xd3:
            guard let number = document.signed(1 << Int(head - 0xd0)) else { return false }
            text.appendDecimal(number)
        case 0xdc, 0xdd: return document.count(head == 0xdc ? 2 : 4).map { array($0, &document, depth) } ?? false
        case 0xde, 0xdf: return document.count(head == 0xde ? 2 : 4).map { map($0, &document, depth) } ?? false
        default: return false
        }
        return true
    }

    private mutating func real(_ number: Double) -> Bool {
        guard number.isFinite else { return false }
        text += "\(number)".utf8
        return true
    }

    private mutating func array(_ count: Int, _ document: inout PackedBytes, _ depth: Int) -> Bool {
        text.append(UInt8(ascii: "["))
        for index in 0..<count {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            guard value(&document, depth: depth + 1) else { return false }
        }
        text.append(UInt8(ascii: "]"))
        return true
    }

    /// Writes the entries as they come, and puts them in order afterwards if they were not.
    private mutating func map(_ count: Int, _ document: inout PackedBytes, _ depth: Int) -> Bool {
        text.append(UInt8(ascii: "{"))
        let first = entries.count
        var isSorted = true
        for index in 0..<count {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            guard let head = document.byte(), let key = document.string(head) else { return false }
            if index > 0, document.precedes(key, entries[entries.count - 1].key) { isSorted = false }
            entries.append(Entry(key: key, start: text.count))
            JSONText.append(document.bytes(key), to: &text)
            text.append(UInt8(ascii: ":"))
            let place = entries.count - 1
            guard value(&document, depth: depth + 1) else { return false }
            entries[place].end = text.count
        }
        if !isSorted { sort(from: first, document) }
        entries.removeLast(count)
        text.append(UInt8(ascii: "}"))
        return true
    }

    private mutating func sort(from first: Int, _ document: PackedBytes) {
        let start = entries[first].start
        unsorted.removeAll(keepingCapacity: true)
        unsorted += text[start...]
        entries[first...].sort { left, right in
            if document.precedes(left.key, right.key) { return true }
            return left.start < right.start && !document.precedes(right.key, left.key)
        }
        text.removeLast(unsorted.count)
        for index in first..<entries.count {
            if index > first { text.append(UInt8(ascii: ",")) }
            text += unsorted[entries[index].start - start..<entries[index].end - start]
        }
    }
}
