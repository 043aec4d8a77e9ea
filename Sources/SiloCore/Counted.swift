/// Numbers of things, as people read them.
package enum Counted {
    /// `1,234,567`.
    package static func grouped(_ number: some BinaryInteger, minus: String = "-") -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return number < 0 ? minus + text : text
    }

    /// One and its plural: `1 job`, `1,234 jobs`.
    package static func text(_ number: some BinaryInteger, _ one: String, _ many: String? = nil) -> String {
        "\(grouped(number)) \(number == 1 ? one : many ?? one + "s")"
    }
}
