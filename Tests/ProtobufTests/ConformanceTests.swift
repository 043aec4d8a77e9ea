import Foundation
import TestSupport
import Testing

/// The suite by the makers of protobuf, over the program in Tests/Conformance/protobuf.
@Suite(.enabled(if: Repository.hasPython), .timeLimit(.minutes(10))) struct ConformanceTests {
    /// Required and recommended tests of proto3 in the binary format. The program skips JSON, text format, proto2 and
    /// editions, which the suite allows; nothing is on a list of expected failures.
    @Test func passesTheProtobufSuite() async throws {
        let folder = try TemporaryFolder()
        let program = try Repository.program("protobuf-conformance")
        try #require(FileManager.default.isExecutableFile(atPath: program), "\(program) is not built")
        let ending = try await ChildProcess.run(
            "\(Repository.path)/Tests/Conformance/conformance-runner",
            ["--enforce_recommended", "--output_dir", folder.path, program])
        let output = ending.output
        #expect(ending.status == 0, "\(output)")
        let passed = output.matches(of: /PASSED: (\d+) successes/).compactMap { Int($0.1) }.max() ?? 0
        #expect(passed > 700, "the suite skipped what it should have run: \(output)")
    }
}
