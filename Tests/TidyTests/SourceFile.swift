import Foundation
import TestSupport

/// A source file of this package, as a reader sees it and as the compiler does.
struct SourceFile: Sendable {
    /// From the root of the repository.
    let path: String
    let lines: [String]
    /// The same lines with spaces in place of comments and of what stands in string literals.
    let code: [String]

    /// All that people write: what generators write is left out.
    static let all = (["Sources", "Tests", "examples"].flatMap(names) + ["Package.swift"])
        .filter { !$0.contains("Generated/") && !$0.contains("SlateDBBinding/") }.compactMap(SourceFile.init)

    init?(_ path: String) {
        guard let text = try? String(contentsOfFile: "\(Repository.path)/\(path)", encoding: .utf8) else { return nil }
        self.init(path, text)
    }

    init(_ path: String, _ text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var scanner = Scanner(text)
        code = scanner.blanked().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    /// The modules that a file imports.
    static func imports(of path: String) -> Set<String> {
        let text = (try? String(contentsOfFile: "\(Repository.path)/\(path)", encoding: .utf8)) ?? ""
        let words = /^(?:@\w+ )?(?:public |package |internal |fileprivate |private )?(?:@\w+ )?import (?:\w+ )?(\w+)/
        return Set(text.split(separator: "\n").compactMap { $0.firstMatch(of: words).map { String($0.1) } })
    }

    var isTest: Bool { path.hasPrefix("Tests/") }

    /// Where a pattern stands in the code: numbers of lines, from 1.
    func places(of pattern: some RegexComponent) -> [Int] {
        code.indices.filter { code[$0].contains(pattern) }.map { $0 + 1 }
    }

    /// Paths of all Swift files of a folder, in order.
    static func names(in folder: String) -> [String] {
        let names = FileManager.default.enumerator(atPath: "\(Repository.path)/\(folder)")?.compactMap { $0 as? String } ?? []
        return names.sorted().filter { $0.hasSuffix(".swift") }.map { "\(folder)/\($0)" }
    }
}
