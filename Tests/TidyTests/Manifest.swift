import Foundation

/// The targets that `Package.swift` declares, by the words that it uses for them.
struct DeclaredTarget {
    let name: String
    let path: String
    let dependencies: Set<String>

    static func all(of manifest: SourceFile) -> [DeclaredTarget] {
        let text = manifest.lines.joined(separator: "\n")
        let declaration = /(module|program|tests)\(\s*"([^"]+)"(?:\s*,\s*\[([^\]]*)\])?(?:\s*,\s*path: "([^"]+)")?/
        return text.matches(of: declaration).map { match in
            let name = String(match.2)
            let names = (match.3 ?? "").matches(of: /"([^"]+)"/).map { String($0.1) }
            let folder = match.1 == "tests" ? "Tests" : "Sources"
            return DeclaredTarget(name: name, path: match.4.map(String.init) ?? "\(folder)/\(name)", dependencies: Set(names))
        }
    }

    /// What its files import, each with a file that does; generated files count.
    func imports() -> [String: String] {
        var imports: [String: String] = [:]
        for path in SourceFile.names(in: path) {
            for name in SourceFile.imports(of: path) { imports[name] = path }
        }
        return imports
    }
}
