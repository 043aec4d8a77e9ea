/// The words of a command: its name, then names and `key=value` options in any order. Each is taken once; `finish` refuses what
/// is left.
struct ScenarioArguments {
    let line: Int
    let command: String
    private var words: [String] = []
    private var options: [String: String] = [:]

    init(_ text: String, line: Int) throws(ScenarioError) {
        self.line = line
        let parts = text.split(separator: " ").map(String.init)
        command = parts.first ?? ""
        for word in parts.dropFirst() {
            guard let mark = word.firstIndex(of: "=") else {
                words.append(word)
                continue
            }
            let key = String(word[..<mark])
            let value = String(word[word.index(after: mark)...])
            guard options.updateValue(value, forKey: key) == nil else { throw error("\(key) is named twice") }
        }
    }

    func error(_ text: String) -> ScenarioError { ScenarioError(line: line, "\(command): \(text)") }

    func finish() throws(ScenarioError) {
        if let word = words.first { throw error("unknown word \(word)") }
        if let key = options.keys.min() { throw error("unknown option \(key)") }
    }

    // MARK: Names

    mutating func optionalWord() -> String? { words.isEmpty ? nil : words.removeFirst() }

    mutating func word(_ what: String) throws(ScenarioError) -> String {
        guard let word = optionalWord() else { throw error("\(what) is missing") }
        return word
    }

    /// All names that are left, at least one; `a1..a3` stands for a1, a2 and a3.
    mutating func names() throws(ScenarioError) -> [String] {
        guard !words.isEmpty else { throw error("a name is missing") }
        var names: [String] = []
        for word in words { names += try expanded(word) }
        words = []
        return names
    }

    private func expanded(_ word: String) throws(ScenarioError) -> [String] {
        guard let dots = word.firstRange(of: "..") else { return [word] }
        let first = NumberedName(String(word[..<dots.lowerBound]))
        let last = NumberedName(String(word[dots.upperBound...]))
        guard let from = first.number, let to = last.number, first.prefix == last.prefix, from <= to,
            to - from < Self.rangeMax
        else { throw error("\(word) is no range of names") }
        return (from...to).map { "\(first.prefix)\($0)" }
    }

    private static let rangeMax = 10_000

    // MARK: Options

    mutating func option(_ key: String) -> String? { options.removeValue(forKey: key) }

    mutating func number<Number: FixedWidthInteger>(_ key: String) throws(ScenarioError) -> Number? {
        guard let text = option(key) else { return nil }
        guard let number = Number(text) else { throw error("\(key) is no number: \(text)") }
        return number
    }

    mutating func length(_ key: String) throws(ScenarioError) -> Int64? {
        guard let text = option(key) else { return nil }
        return try length(of: text)
    }

    /// A length of time in milliseconds.
    func length(of text: String) throws(ScenarioError) -> Int64 {
        guard let length = ScenarioTime(text) else { throw error("\(text) is no length of time") }
        return length.milliseconds
    }
}
