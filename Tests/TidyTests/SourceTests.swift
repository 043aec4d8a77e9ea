import Foundation
import TestSupport
import Testing

/// Reads the sources as a reviewer does who looks for the same few things every time.
@Suite(.timeLimit(.minutes(10))) struct SourceTests {
    @Test func theSourcesAreRead() {
        #expect(SourceFile.all.count > 300)
        #expect(SourceFile.all.contains { $0.path == "Sources/SiloEngine/Shard/Shard.swift" })
    }

    /// Whoever starts one says why, and what ends it. In tests that is clear where the task is kept, to be waited for.
    @Test func everyTaskOfItsOwnHasAReason() throws {
        let task = #"Task(\.detached)?( \{|\((on|priority|executorPreference|name|operation):)"#
        let inSources = try Regex(#"(^|[^.\w])"# + task)
        let inTests = try Regex(#"^\s*"# + task)
        for file in SourceFile.all {
            for line in file.places(of: file.isTest ? inTests : inSources) {
                let nearby = file.lines[max(0, line - 2)..<line]
                if !nearby.contains(where: { $0.contains("//") }) {
                    Issue.record("\(file.path):\(line): why this task, and what ends it?")
                }
            }
        }
    }

    @Test func clocksPrintingAndSleepsHaveTheirPlaces() throws {
        for rule in Banned.all {
            let pattern = try Regex(rule.pattern).wordBoundaryKind(.simple)
            var unused = Set(rule.places.keys)
            for file in SourceFile.all {
                let lines = file.places(of: pattern).filter { !file.code[$0 - 1].contains("func ") }
                guard !lines.isEmpty else { continue }
                let place = rule.places.keys.first { file.path.hasPrefix($0) }
                if let place { unused.remove(place) } else { Issue.record("\(file.path):\(lines): \(rule.what)") }
            }
            #expect(unused.isEmpty, "no longer places for \(rule.what)")
        }
    }

    @Test func nothingTraps() {
        let traps = /\btry!|\bas!|\bfatalError\(|\bprecondition(Failure)?\(|\bassert(ionFailure)?\(|\bunsafelyUnwrapped\b/
            .wordBoundaryKind(.simple)
        let unwraps = /[\w\)\]"]!(?=$|[\s.,\)\]\[(;:?}])/
        var unused = Set(Traps.places.keys)
        for file in SourceFile.all {
            for line in file.places(of: traps) + file.places(of: unwraps) {
                if Traps.places[file.path] != nil {
                    unused.remove(file.path)
                } else {
                    Issue.record("\(file.path):\(line): it can trap")
                }
            }
        }
        #expect(unused.isEmpty, "no longer places for traps")
    }

    /// All tests of a target wait for one another's threads, so a test that does nothing may take minutes on a busy machine.
    @Test func everySuiteHasATimeLimitThatABusyMachineKeeps() {
        for file in SourceFile.all
        where file.lines.contains(where: { $0.contains(/@Test\b/) }) && file.path != "Tests/TidyTests/SourceTests.swift" {
            let suites = file.code.indices.filter { file.code[$0].contains(/@Suite\b/) }
            if suites.isEmpty { Issue.record("\(file.path) has tests and no suite with a time limit") }
            for index in suites {
                let minutes = file.code[index...].prefix(3).joined().firstMatch(of: /\.timeLimit\(\.minutes\((\d+)\)/)
                if (minutes.flatMap { Int($0.1) } ?? 0) < 10 {
                    Issue.record("\(file.path):\(index + 1): no time limit, or one under ten minutes")
                }
            }
        }
    }

    @Test func linesFitTheirWidth() {
        for file in SourceFile.all {
            for (index, line) in file.lines.enumerated() where line.utf8.count > 130 && line.count > 130 {
                Issue.record("\(file.path):\(index + 1) has \(line.count) columns")
            }
        }
    }

    @Test func filesWithSeveralPublicTypesHaveBeenLookedAt() throws {
        let table = try String(contentsOfFile: "\(Repository.path)/Tests/TidyTests/public-types.txt", encoding: .utf8)
        let verdicts = table.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { $0.components(separatedBy: " | ") }
        let judged = Dictionary(verdicts.map { ($0[0], $0.dropFirst().first ?? "") }, uniquingKeysWith: { first, _ in first })
        #expect(verdicts.allSatisfy { $0.count == 3 }, "a file, its types, and the verdict")
        var found: [String: String] = [:]
        for file in SourceFile.all where file.path.hasPrefix("Sources/") {
            let words = /^public (?:final |indirect )*(?:struct|class|enum|protocol|actor) (\w+)/
            let types = file.code.compactMap { $0.firstMatch(of: words).map { String($0.1) } }
            if types.count > 1 { found[file.path] = types.joined(separator: " ") }
        }
        for (path, types) in found where judged[path] != types {
            Issue.record("\(path) holds \(types): one idea, or several? Split it, or add it to public-types.txt with a verdict")
        }
        for path in Set(judged.keys).subtracting(found.keys) { Issue.record("\(path) is in public-types.txt and holds one type") }
    }
}
