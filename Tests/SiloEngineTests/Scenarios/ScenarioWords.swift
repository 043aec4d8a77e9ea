/// A length of time such as `1m30s` or `999ms`.
struct ScenarioTime: CustomStringConvertible {
    let milliseconds: Int64
    private static let units: [(name: String, milliseconds: Int64)] = [
        ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]

    init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Nil for anything else.
    init?(_ text: String) {
        var rest = Substring(text)
        var sum: Int64 = 0
        repeat {
            let digits = rest.prefix { $0.isNumber }
            let unit = rest.dropFirst(digits.count).prefix { $0.isLetter }
            guard let count = Int32(digits), let size = Self.units.first(where: { $0.name == unit }) else { return nil }
            sum += Int64(count) * size.milliseconds
            rest = rest.dropFirst(digits.count + unit.count)
        } while !rest.isEmpty
        milliseconds = sum
    }

    var description: String {
        guard milliseconds > 0 else { return milliseconds == 0 ? "0s" : "-\(ScenarioTime(milliseconds: -milliseconds))" }
        var rest = milliseconds
        return Self.units.reduce(into: "") { text, unit in
            if rest >= unit.milliseconds { text += "\(rest / unit.milliseconds)\(unit.name)" }
            rest %= unit.milliseconds
        }
    }
}

/// A name with the number that it ends with, so that 9 sorts before 10 and neighbours are told.
struct NumberedName: Hashable, Comparable {
    let name: String
    let prefix: Substring
    let number: Int?

    init(_ name: String) {
        self.name = name
        let digits = name.reversed().prefix { $0.isASCII && $0.isNumber }.count
        prefix = name.dropLast(digits)
        number = Int(name.suffix(digits))
    }

    func follows(_ other: NumberedName) -> Bool {
        guard let number, let before = other.number else { return false }
        return prefix == other.prefix && number == before + 1
    }

    static func < (left: NumberedName, right: NumberedName) -> Bool {
        (left.prefix, left.number ?? -1, left.name) < (right.prefix, right.number ?? -1, right.name)
    }
}

extension Sequence {
    /// In runs of elements each of which follows on the one before.
    func runs(by follows: (Element, Element) -> Bool) -> [[Element]] {
        reduce(into: []) { runs, element in
            if let last = runs.last?.last, follows(element, last) {
                runs[runs.count - 1].append(element)
            } else {
                runs.append([element])
            }
        }
    }
}

extension [NumberedName] {
    /// In words: more than three neighbours are a range.
    var words: String {
        runs { $0.follows($1) }
            .flatMap { $0.count > 3 ? ["\($0[0].name)..\($0[$0.count - 1].name)"] : $0.map(\.name) }.joined(separator: ", ")
    }
}
