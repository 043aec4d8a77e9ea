import CommandLineTool
import Foundation
import SiloConfiguration

/// Checks a server's configuration without a server.
func validateConfig(_ arguments: Arguments, _ output: Output) throws {
    let path = arguments.text("config", default: "")
    guard !path.isEmpty else { throw Arguments.Mistake("--config is missing: it names the file to check") }
    do {
        let loaded = try LoadedConfiguration(
            file: path, nil, environment: ProcessInfo.processInfo.environment, for: .serving)
        for note in loaded.notes { Program.complain(note) }
        try output.print(["status": "valid", "config_path": path], ["Config is valid: \(path)"], isShort: true)
    } catch let mistakes as LoadedConfiguration.Mistakes {
        let text = "\(mistakes)"
        // Both streams tell it, for whoever reads one of them; at a terminal that would be twice.
        let isRead = Output.isTerminal && isatty(STDERR_FILENO) == 1
        if output.isJSON || !isRead {
            let lines = Output.lines("Config error: \(text)")
            try output.print(["status": "invalid", "config_path": path, "error": text], lines, isShort: true)
        }
        throw Program.Failure("Error: Config validation failed: \(text)")
    }
}
