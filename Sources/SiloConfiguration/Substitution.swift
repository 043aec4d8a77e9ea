/// References to environment variables in a text of the file: `${VAR}`, and `${VAR:-text}` for one that is not set.
///
/// As upstream does it: a variable that is not set is empty, one that is set to nothing stays so, `$VAR` and a `${` that is
/// not closed are text, and what comes in is not looked at again (spec/operations.md 2.2). Unlike there only texts are looked
/// at, after the file was read, so that no value can break the file; keys and comments are left alone.
struct Substitution {
    let text: String
    /// Some were found.
    private(set) var isChanged = false
    /// Those that are not set and have no text in their place.
    private(set) var missing: [String] = []

    init(_ original: String, in environment: [String: String]) {
        var result = ""
        var rest = original[...]
        while let begin = rest.firstRange(of: "${"), let end = rest[begin.upperBound...].firstIndex(of: "}") {
            let reference = rest[begin.upperBound..<end]
            let parts = reference.firstRange(of: ":-")
            let name = String(reference[..<(parts?.lowerBound ?? reference.endIndex)])
            result += rest[..<begin.lowerBound]
            if let value = environment[name] {
                result += value
            } else if let parts {
                result += reference[parts.upperBound...]
            } else {
                missing.append(name)
            }
            isChanged = true
            rest = rest[rest.index(after: end)...]
        }
        text = result + rest
    }
}
