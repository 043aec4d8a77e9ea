/// Looks for a text in many others, byte by byte.
package struct TextSearch: Sendable {
    private let wanted: [UInt8]

    package init(_ text: String) { wanted = Array(text.utf8) }

    var isEmpty: Bool { wanted.isEmpty }

    package func isIn(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { bytes in
            guard let first = wanted.first, bytes.count >= wanted.count else { return wanted.isEmpty }
            return (0...(bytes.count - wanted.count)).contains { start in
                bytes[start] == first && bytes[start..<(start + wanted.count)].elementsEqual(wanted)
            }
        }
    }
}
