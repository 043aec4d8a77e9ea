/// A text that somebody chose, where it is a key or is compared: see `Identifier`.
package struct ExactText: Identifier, ExpressibleByStringLiteral {
    package let text: String
    package init(_ text: String) { self.text = text }
    package init(stringLiteral text: String) { self.text = text }

    package init?(_ text: String?) {
        guard let text else { return nil }
        self.init(text)
    }
}

extension StringProtocol {
    /// What stands between separators. To Swift's own `split` a separator with a mark behind it is another character.
    package func parts(at separator: Unicode.Scalar, atMost count: Int = .max) -> [String] {
        String(self).unicodeScalars.split(separator: separator, maxSplits: count - 1, omittingEmptySubsequences: false).map {
            String($0)
        }
    }
}
