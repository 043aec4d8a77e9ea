/// Where the items of a JSON array stand.
enum JSONLines {
    /// The line of each item, counted from 1.
    /// - Parameter text: an array that was read without a mistake.
    static func ofItems(in text: [UInt8]) -> [Int] {
        var (lines, line, depth) = ([Int](), 1, 0)
        var (isText, isEscaped, isItemNext) = (false, false, false)
        for byte in text {
            if isText {
                if isEscaped { isEscaped = false } else if byte == UInt8(ascii: "\\") { isEscaped = true } else {
                    isText = byte != UInt8(ascii: "\"")
                }
                continue
            }
            switch byte {
            case UInt8(ascii: "\n"): line += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): break
            case UInt8(ascii: ",") where depth == 1: isItemNext = true
            case UInt8(ascii: "]"), UInt8(ascii: "}"): depth -= 1
            default:
                if isItemNext {
                    lines.append(line)
                    isItemNext = false
                }
                if byte == UInt8(ascii: "[") || byte == UInt8(ascii: "{") {
                    depth += 1
                    if depth == 1 { isItemNext = true }
                }
                isText = byte == UInt8(ascii: "\"")
            }
        }
        return lines
    }
}
