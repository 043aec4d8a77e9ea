import Foundation

/// The frame of a command-line program: reads the arguments, runs, and ends with the right code.
public enum Program {
    /// The version of every program of this package.
    public static let version = "1.0.0"

    /// Runs `body` with what the command line says. Ends with 0, with 1 when `body` throws, or with 2 for a command line that
    /// cannot be followed.
    public static func run(_ usage: Usage, _ body: (Arguments) async throws -> Void) async -> Never {
        var command = ""
        do {
            switch try Arguments.read(Array(CommandLine.arguments.dropFirst()), usage, version: version) {
            case .show(let text): print(text)
            case .run(let arguments):
                command = arguments.command
                try await body(arguments)
            }
            exit(0)
        } catch let mistake as Arguments.Mistake {
            let words = [usage.program, mistake.command ?? command, "--help"].filter { !$0.isEmpty }
            complain("\(usage.program): \("\(mistake)".printableLines)")
            complain("Run \(words.joined(separator: " ")) to see what it takes.")
            exit(2)
        } catch {
            complain("Error: \((SystemReason(error)?.description ?? "\(error)").printableLines)")
            exit(1)
        }
    }

    /// Says something on the error stream.
    public static func complain(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}
