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
    static let all: [SourceFile] = ["Sources", "Tests", "examples"].flatMap(files) + [SourceFile("Package.swift")].compactMap { $0 }

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

    var isTest: Bool { path.hasPrefix("Tests/") }

    /// Where a pattern stands in the code: numbers of lines, from 1.
    func places(of pattern: some RegexComponent) -> [Int] {
        code.indices.filter { code[$0].contains(pattern) }.map { $0 + 1 }
    }

    private static func files(in folder: String) -> [SourceFile] {
        let names = FileManager.default.enumerator(atPath: "\(Repository.path)/\(folder)")?.compactMap { $0 as? String } ?? []
        return names.sorted().filter { $0.hasSuffix(".swift") && !$0.contains("Generated/") && !$0.hasPrefix("SlateDBBinding/") }
            .compactMap { SourceFile("\(folder)/\($0)") }
    }
}
