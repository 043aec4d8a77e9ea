import Foundation
import SiloCore
import TestSupport
import Testing

@testable import SiloService

/// What is written about roles names the calls that each may make.
@Suite(.timeLimit(.minutes(10))) struct RolesPageTests {
    private static let begin = "<!-- calls: made by SILO_REWRITE=1 swift test --filter RolesPageTests -->\n"
    private static let end = "<!-- end of calls -->"

    private static var table: String {
        let rows = Role.allCases.map { role in
            let calls = MethodAccess.rows.filter { $0.1.role == role }.map(\.0)
            let hasOthers = MethodAccess.of("/silo.v1.Silo/Future").role == role
            let others = hasOthers ? ["and every call that neither table names"] : []
            return "| \(role.rawValue) | \((calls + others).joined(separator: ", ")) |\n"
        }
        return "| | calls |\n|---|---|\n" + rows.joined()
    }

    @Test func theTableOfTheDocumentsIsCurrent() throws {
        let path = "\(Repository.path)/docs/security.md"
        let document = try String(contentsOfFile: path, encoding: .utf8)
        let begin = try #require(document.range(of: Self.begin))
        let end = try #require(document.range(of: Self.end))
        let wanted = "\n\(Self.table)\n"
        if ProcessInfo.processInfo.environment["SILO_REWRITE"] != nil {
            let new = document.replacingCharacters(in: begin.upperBound..<end.lowerBound, with: wanted)
            return try new.write(toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(String(document[begin.upperBound..<end.lowerBound]) == wanted, "make docs")
    }
}
