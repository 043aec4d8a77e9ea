import Foundation

/// The frame of a command-line program: reads the arguments, runs, and ends with the right code.
public enum Program {
    /// The version of every program of this package.
    public static let version = "1.0.0"

    /// Ends a program with code 1 and a text that says it all.
    public struct Failure: Error {
        let text: String

        public init(_ text: String) { self.text = text }
    }

    /// Runs `body` with what the command line says. Ends with 0, with 1 when `body` throws, or with 2 for a command line that
    /// cannot be followed.
    /// - Parameter builtFrom: lines for `--version`, after the program's own.
    public static func run(
        _ usage: Usage, builtFrom: [String] = [], _ body: (Arguments) async throws -> Void
    ) async -> Never {
        var command = ""
        do {
            let words = try ProcessArguments.all()
            if let text = await usage.answer(toTool: words) {
                print(text)
                exit(0)
            }
            let about = ([version] + builtFrom).joined(separator: "\n")
            switch try Arguments.read(words, usage, version: about) {
            case .show(let text): print(text)
            case .run(let arguments) where arguments.command == Usage.Command.completion.name:
                print(try usage.completionScript(for: arguments.operands[0]))
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
        } catch let failure as Failure {
            complain(failure.text.printableLines)
            exit(1)
        } catch {
            complain("Error: \((SystemReason(error)?.description ?? "\(error)").printableLines)")
            exit(1)
        }
    }

    /// Says something on the output stream.
    public static func say(_ text: String) { print(text.printableLines) }

    /// Says something on the error stream.
    public static func complain(_ text: String) {
        FileHandle.standardError.write(Data((text + "\n").utf8))
    }
}
