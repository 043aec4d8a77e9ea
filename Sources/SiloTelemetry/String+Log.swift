import Foundation

// Text of others must not look like lines of the log, nor move the cursor of whoever reads it.

extension Unicode.Scalar {
    /// Control characters, C0 and C1, line ends of Unicode, and those that change the direction of writing.
    var isEscapedInLog: Bool {
        switch value {
        case 0..<0x20, 0x7f..<0xa0, 0x2028, 0x2029, 0x200e, 0x200f, 0x202a...0x202e, 0x2066...0x2069, 0x061c: true
        default: false
        }
    }

    /// As JSON writes it. All that are escaped have at most four digits.
    var escapedInLog: String { String(format: "\\u%04x", value) }
}

extension String {
    /// The text on one line, without quotes around it.
    var shownInLog: String {
        guard unicodeScalars.contains(where: \.isEscapedInLog) else { return self }
        return unicodeScalars.reduce(into: "") { result, scalar in
            if scalar.isEscapedInLog { result += scalar.escapedInLog } else { result.unicodeScalars.append(scalar) }
        }
    }
}
