import Foundation
import SiloAPI
import SiloClient

/// What a job carries or came to: MessagePack, as a rule.
struct Document {
    let bytes: [UInt8]

    init(_ message: SiloV1.SerializedBytes?) {
        if case .msgpack(let content) = message?.encoding { bytes = content } else { bytes = [] }
    }

    /// No bytes are null; nil: it is no MessagePack.
    var value: MessagePack? { bytes.isEmpty ? .null : MessagePack(bytes) }

    /// As JSON; nil: it is no MessagePack.
    var json: String? {
        // JSON has no word for it.
        if value?.isUndefined ?? false { return "undefined" }
        return value.flatMap { try? JSONText(isPretty: false).text(of: $0) }
    }

    var hex: String { Self.hex(bytes) }

    static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    var base64: String { Data(bytes).base64EncodedString() }

    /// As JSON, or in hexadecimal when it is no MessagePack; `-` for nothing.
    func text() -> String { bytes.isEmpty ? "-" : json ?? hex }

    /// So many letters of the same; nil when these are all.
    func beginning(_ lettersMax: Int) -> String? {
        // A large document is not read for its beginning: what it is shows in its first bytes.
        guard bytes.count <= Self.readMax else { return String(Document(bytes: Array(bytes.prefix(lettersMax / 2))).hex) }
        let text = text()
        return text.count > lettersMax ? String(text.prefix(lettersMax)) : nil
    }

    private static let readMax = 256 << 10

    private init(bytes: [UInt8]) { self.bytes = bytes }
}
