/// How much data there may be, as an operator says it: what `database.max_data` and `--max-data` both take.
package enum DataLimit: Sendable, Equatable {
    /// As its disk allows.
    case standard
    case bytes(UInt64)
    /// The disk is as full as that; 1 to 99.
    case percent(Int)
    case off

    package static let forms = "a size such as 200GiB, a part of the disk such as 90%, auto or off"

    /// - Parameter text: see `forms`. A bare number is in bytes.
    package init?(_ text: String) {
        func number(_ text: some StringProtocol) -> Int? {
            text.allSatisfy { ("0"..."9").contains($0) } ? Int(text) : nil
        }
        switch text {
        case "auto": self = .standard
        case "off": self = .off
        case _ where text.hasSuffix("%"):
            guard let percent = number(text.dropLast()), (1...99).contains(percent) else { return nil }
            self = .percent(percent)
        default:
            guard let bytes = number(text) ?? Unit.number(of: text, in: Unit.sizes), bytes >= Bytes.mebi else { return nil }
            self = .bytes(UInt64(bytes))
        }
    }
}
