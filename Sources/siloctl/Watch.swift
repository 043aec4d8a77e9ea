import CommandLineTool
import Foundation
import SiloCore

/// Shows something again and again, with `--watch`, until Ctrl-C, which ends it well.
struct Watch {
    static let option = Usage.Option(
        "watch", "w", "seconds", isValueOptional: true, help: "show it again every so many seconds (2), until Ctrl-C")
    /// In place of what was there.
    private static let clearing = "\u{1b}[H\u{1b}[2J\u{1b}[3J"

    /// - Parameter show: prints once; with times of that moment.
    static func run(_ arguments: Arguments, _ show: @Sendable (Output) async throws -> Void) async throws {
        guard arguments.has("watch") else { return try await show(Output(arguments)) }
        let isPlain = arguments.text("watch") == ""
        let seconds = isPlain ? 2 : try arguments.fraction("watch", default: 2, in: 0.1...86_400)
        // What was printed is on its way out already.
        signal(SIGINT) { _ in _exit(0) }
        var hasShown = false
        while true {
            let output = Output(arguments)
            if Output.isTerminal { Output.write(clearing) }
            do {
                try await show(output)
                hasShown = true
            } catch let failure as Failure where hasShown {
                // A server that starts again will answer again.
                Program.complain("Error: \(failure)")
            }
            if !output.isJSON, !Output.isTerminal { Output.write("\n") }
            fflush(nil)
            try await SystemClock().sleep(milliseconds: Int64(seconds * 1000))
        }
    }
}
