import Foundation
import Testing

/// The suite by the makers of protobuf, over the program in Tests/Conformance/protobuf.
@Suite(.enabled(if: hasPython)) struct ConformanceTests {
    /// Required and recommended tests of proto3 in the binary format. The program skips JSON, text format, proto2 and
    /// editions, which the suite allows; nothing is on a list of expected failures.
    @Test func passesTheProtobufSuite() throws {
        let folder = try TemporaryFolder()
        // The package's programs are built beside its tests.
        let tests = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let program = URL(fileURLWithPath: tests).deletingLastPathComponent().appendingPathComponent("protobuf-conformance").path
        try #require(FileManager.default.isExecutableFile(atPath: program), "\(program) is not built")
        let (status, output) = try run(
            "\(repository)/Tests/Conformance/conformance-runner",
            ["--enforce_recommended", "--output_dir", folder.path, program])
        #expect(status == 0, "\(output)")
        let passed = output.matches(of: /PASSED: (\d+) successes/).compactMap { Int($0.1) }.max() ?? 0
        #expect(passed > 700, "the suite skipped what it should have run: \(output)")
    }
}
