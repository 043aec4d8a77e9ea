import Foundation
import TestSupport
import Testing

/// What `Package.swift` says of the targets is what their files do.
@Suite(.timeLimit(.minutes(10))) struct PackageTests {
    private static let targets = SourceFile("Package.swift").map(DeclaredTarget.all) ?? []
    /// Modules of the system, which nobody declares.
    private static let system: Set = ["Foundation", "Dispatch", "Glibc", "Synchronization", "Testing", "PackageDescription"]

    @Test func everyDependencyIsImportedAndEveryImportDeclared() {
        #expect(Self.targets.count > 20, "the manifest is read")
        for target in Self.targets {
            let imports = target.imports()
            for name in target.dependencies.subtracting(imports.keys) { Issue.record("\(target.name) does not import \(name)") }
            for (name, file) in imports where !target.dependencies.contains(name) && !Self.system.contains(name) {
                Issue.record("\(file) imports \(name), which \(target.name) does not declare")
            }
        }
    }

    @Test func theVersionOfSlateDBThatIsToldIsTheOneThatIsInstalled() throws {
        func text(_ path: String) throws -> String {
            try String(contentsOfFile: "\(Repository.path)/\(path)", encoding: .utf8)
        }
        let pinned = try #require(text("scripts/versions.sh").firstMatch(of: /SLATEDB_VERSION=(\S+)/)?.1)
        #expect(try text("Package.swift").contains("let slateDB = \"\(pinned)\""))
    }

    @Test func noProgramButTheSimulatorHasWhatTestsAreMadeOf() {
        let dependencies = Dictionary(Self.targets.map { ($0.name, $0.dependencies) }, uniquingKeysWith: { first, _ in first })
        for program in ["silo", "siloctl", "silo-bench", "checksum", "limits", "mail-worker"] {
            var all: Set<String> = [program]
            while true {
                let more = all.union(all.flatMap { dependencies[$0] ?? [] })
                if more == all { break }
                all = more
            }
            #expect(all.isDisjoint(with: ["TestSupport", "SiloTesting", "SiloSimulation"]), "\(program)")
        }
    }
}
