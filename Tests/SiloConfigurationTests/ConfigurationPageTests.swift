import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct ConfigurationPageTests {
    /// `SILO_REWRITE=1` writes it.
    @Test func thePageIsWhatTheTableSays() throws {
        let path = "\(Repository.path)/docs/configuration.md"
        if ProcessInfo.processInfo.environment["SILO_REWRITE"] != nil {
            try Data(ConfigurationPage.text.utf8).write(to: URL(fileURLWithPath: path))
        }
        let written = try String(contentsOfFile: path, encoding: .utf8)
        #expect(written == ConfigurationPage.text, "make docs")
    }
}
