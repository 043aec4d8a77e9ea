package import SiloAPI

extension SiloV1.QueryParameter.OneOfValue {
    /// The value that somebody typed: `null`, a truth value, a number, or else a text.
    package init(guessing text: String) {
        self = Self.guess(text)
    }

    private static func guess(_ text: String) -> Self {
        if text == "null" { return .nullValue(.init()) }
        if let truth = Bool(text) { return .boolValue(truth) }
        if let number = Self(wholeNumber: text) { return number }
        // Else `nan` and `0x10` were numbers too.
        let isDecimal = text.utf8.allSatisfy { "0123456789+-.eE".utf8.contains($0) }
        if isDecimal, let number = Double(text) { return .float64Value(number) }
        return .stringValue(text)
    }

    /// Nil: it is none of 64 bits.
    package init?(wholeNumber text: String) {
        if let number = Int64(text) {
            self = .int64Value(number)
        } else if let number = UInt64(text) {
            self = .uint64Value(number)
        } else {
            return nil
        }
    }
}
