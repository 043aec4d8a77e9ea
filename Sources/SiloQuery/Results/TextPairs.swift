/// How a map or a list of texts travels through SQLite: a blob of texts, each with its length before it. A map has a key and a
/// value by turns, in order of the keys.
enum TextPairs {
    private static let absent = UInt32.max

    /// Of the metadata entries of a stored job.
    static func blob(_ bytes: UnsafeBufferPointer<UInt8>, _ entries: [Range<Int>]) -> [UInt8] {
        var pairs: [(key: [UInt8], value: [UInt8])] = []
        for entry in entries {
            var pair: (key: [UInt8], value: [UInt8]) = ([], [])
            var wire = Wire(bytes, entry)
            while let tag = wire.tag() {
                switch tag {
                case 10: pair.key = Array(bytes[wire.content()])
                case 18: pair.value = Array(bytes[wire.content()])
                default: wire.skip(tag)
                }
            }
            pairs.append(pair)
        }
        pairs.sort { $0.key.lexicographicallyPrecedes($1.key) }
        var blob: [UInt8] = []
        for pair in pairs {
            append(pair.key, to: &blob)
            append(pair.value, to: &blob)
        }
        return blob
    }

    static func blob(_ texts: [[UInt8]?]) -> [UInt8] {
        var blob: [UInt8] = []
        for text in texts { append(text, to: &blob) }
        return blob
    }

    private static func append(_ text: [UInt8]?, to blob: inout [UInt8]) {
        withUnsafeBytes(of: (text.map { UInt32(clamping: $0.count) } ?? absent).littleEndian) { blob += $0 }
        if let text { blob += text }
    }

    /// The texts of a blob; nil in place of NULL.
    static func texts(_ blob: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer?] {
        var texts: [UnsafeRawBufferPointer?] = []
        var position = 0
        while position + 4 <= blob.count {
            let count = UInt32(littleEndian: blob.loadUnaligned(fromByteOffset: position, as: UInt32.self))
            position += 4
            guard count != absent else {
                texts.append(nil)
                continue
            }
            let end = min(blob.count, position + Int(count))
            texts.append(UnsafeRawBufferPointer(rebasing: blob[position..<end]))
            position = end
        }
        return texts
    }

    /// The value of a key in a map; nil: it has none.
    static func value(of key: UnsafeRawBufferPointer, in blob: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let texts = texts(blob)
        for index in stride(from: 0, to: texts.count - 1, by: 2) {
            if let own = texts[index], own.elementsEqual(key) { return texts[index + 1] }
        }
        return nil
    }

    /// `{key: value, key2: value2}`
    static func mapText(_ blob: UnsafeRawBufferPointer) -> [UInt8] {
        let texts = texts(blob)
        var text: [UInt8] = [UInt8(ascii: "{")]
        for index in stride(from: 0, to: texts.count - 1, by: 2) {
            if index > 0 { text += ", ".utf8 }
            if let key = texts[index] { text += key }
            text += ": ".utf8
            if let value = texts[index + 1] { text += value }
        }
        text.append(UInt8(ascii: "}"))
        return text
    }

    /// `[a, b]`
    static func listText(_ blob: UnsafeRawBufferPointer) -> [UInt8] {
        var text: [UInt8] = [UInt8(ascii: "[")]
        for (index, element) in texts(blob).enumerated() {
            if index > 0 { text += ", ".utf8 }
            if let element { text += element }
        }
        text.append(UInt8(ascii: "]"))
        return text
    }
}

/// The argument of the functions that ask for a key and its value: see `metadataPair`.
struct MetadataPair {
    let key: String
    let value: String

    init?(_ text: String) {
        let utf8 = Array(text.utf8)
        guard let colon = utf8.firstIndex(of: UInt8(ascii: ":")),
            let count = Int(String(decoding: utf8[..<colon], as: UTF8.self)),
            count >= 0, colon + 1 + count <= utf8.count
        else { return nil }
        key = String(decoding: utf8[colon + 1..<colon + 1 + count], as: UTF8.self)
        value = String(decoding: utf8[(colon + 1 + count)...], as: UTF8.self)
    }
}
