import CToml
import Foundation

/// What a TOML text says, value by value, and what is wrong with it.
package struct TOMLDocument: Decodable {
    package struct Value: Decodable {
        package let path: [String]?
        package let line: Int
        package let column: Int
        package let type: String
        package let text: String
        let items: [Value]?
    }

    package struct Fault: Decodable {
        package let line: Int
        package let column: Int
        package let text: String

        /// Nothing below it could be read.
        let isOfAllBelow: Bool

        init(line: Int, column: Int, text: String, isOfAllBelow: Bool = false) {
            (self.line, self.column, self.text, self.isOfAllBelow) = (line, column, text, isOfAllBelow)
        }

        package init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Keys.self)
            self.init(
                line: try values.decode(Int.self, forKey: .line), column: try values.decode(Int.self, forKey: .column),
                text: try values.decode(String.self, forKey: .text))
        }

        private enum Keys: CodingKey { case line, column, text }
    }

    /// In the order of the text.
    package private(set) var values: [Value]
    package private(set) var errors: [Fault]

    /// More is no configuration.
    package static let bytesMax = 64 << 10
    /// The parser calls itself for each that is open, whether or not it is in a string.
    private static let bracketsMax = 200
    /// It calls itself for each part of a key as well.
    private static let dotsOfLineMax = 200

    /// Takes at most `bytesMax` bytes.
    package init(_ text: [UInt8]) {
        if let fault = Self.unreadable(text) {
            self = Self(values: [], errors: [fault])
        } else {
            let strings = TOMLStrings(text)
            self = Self.parsed(strings.closed)
                ?? Self(values: [], errors: [Fault(line: 1, column: 1, text: "there is no memory to read it")])
            errors += strings.faults
        }
        values.sort { ($0.line, $0.column) < ($1.line, $1.column) }
        errors.sort { ($0.line, $0.column) < ($1.line, $1.column) }
    }

    private init(values: [Value], errors: [Fault]) {
        self.values = values
        self.errors = errors
    }

    private static func parsed(_ text: [UInt8]) -> Self? {
        let json = text.withUnsafeBytes { ctoml_json($0.baseAddress?.assumingMemoryBound(to: CChar.self), $0.count) }
        guard let json else { return nil }
        defer { free(json) }
        return try? JSONDecoder().decode(Self.self, from: Data(bytesNoCopy: json, count: strlen(json), deallocator: .none))
    }

    /// What the parser must not be given.
    private static func unreadable(_ text: [UInt8]) -> Fault? {
        var line = 1
        var begin = 0
        var brackets = 0
        var dots = 0
        func fault(_ index: Int, _ reason: String) -> Fault { Fault(line: line, column: index - begin + 1, text: reason) }
        for (index, byte) in text.enumerated() {
            switch byte {
            case UInt8(ascii: "\n"):
                let isText = String(validating: text[begin..<index], as: UTF8.self) != nil
                guard isText else { return fault(begin, "this line is not UTF-8") }
                line += 1
                begin = index + 1
                dots = 0
            case UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
            case 0..<0x20, 0x7f: return fault(index, "control character \(byte)")
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                brackets += 1
                guard brackets <= bracketsMax else { return fault(index, "more than \(bracketsMax) brackets") }
            case UInt8(ascii: "."):
                dots += 1
                guard dots <= dotsOfLineMax else { return fault(index, "more than \(dotsOfLineMax) dots in one line") }
            default: break
            }
        }
        return String(validating: text[begin...], as: UTF8.self) == nil ? fault(begin, "this line is not UTF-8") : nil
    }
}
