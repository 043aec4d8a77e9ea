package import Foundation

/// Finds whole numbers in JSON that no 64 bits hold. `JSONSerialization` makes floating-point numbers of them, silently other
/// ones.
package enum JSONIntegers {
    /// The first that lies below -2^63 or above 2^64 - 1, as it is written. Numbers with a point or an exponent are not whole.
    package static func unfit(in json: Data) -> String? {
        json.withUnsafeBytes { buffer in
            var index = 0
            while index < buffer.count {
                switch buffer[index] {
                case UInt8(ascii: "\""): index = endOfText(buffer, index)
                case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
                    let end = endOfNumber(buffer, index)
                    // Shorter ones always fit.
                    if end - index > 18, let number = unfit(buffer[index..<end]) { return number }
                    index = end
                default: index += 1
                }
            }
            return nil
        }
    }

    private static func unfit(_ digits: Slice<UnsafeRawBufferPointer>) -> String? {
        guard !digits.contains(where: { [UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E")].contains($0) }) else {
            return nil
        }
        let text = String(decoding: digits, as: UTF8.self)
        return Int64(text) == nil && UInt64(text) == nil ? text : nil
    }

    private static func endOfText(_ buffer: UnsafeRawBufferPointer, _ start: Int) -> Int {
        var index = start + 1
        while index < buffer.count, buffer[index] != UInt8(ascii: "\"") { index += buffer[index] == UInt8(ascii: "\\") ? 2 : 1 }
        return index + 1
    }

    private static func endOfNumber(_ buffer: UnsafeRawBufferPointer, _ start: Int) -> Int {
        var index = start + 1
        while index < buffer.count, isPartOfNumber(buffer[index]) { index += 1 }
        return index
    }

    private static func isPartOfNumber(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "e"),
            UInt8(ascii: "E"):
            true
        default: false
        }
    }
}
