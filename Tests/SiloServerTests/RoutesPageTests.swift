import Foundation
import HTTPServer
import SiloCore
import SiloService
import SiloTelemetry
import SiloTesting
import TestSupport
import Testing

@testable import SiloServer
@testable import SiloWeb

/// What is written about the port for operators names every address that it serves, and who is let in there.
@Suite(.timeLimit(.minutes(10))) struct RoutesPageTests {
    private static let begin = "<!-- routes: made by SILO_REWRITE=1 swift test --filter RoutesPageTests -->\n"
    private static let end = "<!-- end of routes -->"

    /// Those whose needs are not those of one call.
    private static let others = [
        "/metrics": "nothing", "/healthz": "nothing", "/readyz": "nothing", "/version": "nothing", "/login": "nothing",
        "/session": "nothing", "/theme": "nothing", "/help": "any token", "/search": "any token", "/logout": "any token",
        "/live/:topic": "what its page needs",
    ]

    private static func needs(_ path: String, _ contents: Site.Contents) -> String? {
        let method =
            contents.pages.first { $0.path == path }?.needs ?? contents.downloads.first { $0.path == path }?.needs
            ?? contents.actions.first { $0.path == path }?.needs ?? (path == "/cluster" ? OverviewPage.page.needs : nil)
        return method.map { "the role for " + ($0.split(separator: "/").last ?? "") } ?? others[path]
    }

    private static func table() throws -> String {
        let clock = ManualClock()
        let environment = Environment(clock: clock, random: SeededRandom(seed: 1))
        let settings = NodeSettings(data: "memory:")
        let metrics = NodeMetrics(settings, allocator: nil)
        let gate = Gate(Access(secret: "s", clock: clock), clock: clock, logger: .silent)
        let page = WebPage(settings, metrics, gate, in: environment)
        defer { page.stop() }
        var routes = OperatorPort.routes(settings, NodeStatus(), metrics)
        page.site.serve(on: &routes)
        let assets = Set(Assets.all.map(Assets.path(of:)))
        let rows = try routes.all.filter { !assets.contains($0.path) }.map { method, path in
            let wanted = try #require(Self.needs(path, page.site.contents), "say in `others` what \(path) needs")
            return "| \(method) | `\(path)` | \(wanted) |\n"
        }
        return "| | address | needs |\n|---|---|---|\n" + rows.joined()
    }

    @Test func theTableOfTheDocumentsIsCurrent() throws {
        let path = "\(Repository.path)/docs/security.md"
        let document = try String(contentsOfFile: path, encoding: .utf8)
        let begin = try #require(document.range(of: Self.begin))
        let end = try #require(document.range(of: Self.end))
        let wanted = "\n\(try Self.table())\n"
        if ProcessInfo.processInfo.environment["SILO_REWRITE"] != nil {
            let new = document.replacingCharacters(in: begin.upperBound..<end.lowerBound, with: wanted)
            return try new.write(toFile: path, atomically: true, encoding: .utf8)
        }
        #expect(String(document[begin.upperBound..<end.lowerBound]) == wanted, "make docs")
    }
}
