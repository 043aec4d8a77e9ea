import CommandLineTool
import Foundation
import SiloConfiguration

/// Checks a server's configuration without a server.
func validateConfig(_ arguments: Arguments, _ output: Output) throws {
    let named = [arguments.operands.first, arguments.text("config")].compactMap { $0 }
    guard named.count <= 1 else { throw Arguments.Mistake("<file> and --config exclude each other: give one of them") }
    guard let path = named.first, !path.isEmpty else { throw Arguments.Mistake("<file> is missing: it names the file to check") }
    do {
        let loaded = try LoadedConfiguration(
            file: path, nil, environment: ProcessInfo.processInfo.environment, for: .serving)
        for note in loaded.notes { Program.complain(note) }
        try output.print(["status": "valid", "config_path": path], ["Config is valid: \(path)"], isShort: true)
    } catch let mistakes as LoadedConfiguration.Mistakes {
        let text = "\(mistakes)"
        // Both streams tell it, for whoever reads one of them. Where they are one, such as at a terminal, it is told once.
        if output.isJSON || !areOneFile(STDOUT_FILENO, STDERR_FILENO) {
            let lines = Output.lines("Config error: \(text)")
            try output.print(["status": "invalid", "config_path": path, "error": text], lines, isShort: true)
            if areOneFile(STDOUT_FILENO, STDERR_FILENO) { exit(1) }
        }
        throw Program.Failure("Error: Config validation failed: \(text)")
    }
}

private func areOneFile(_ one: Int32, _ other: Int32) -> Bool {
    var (first, second) = (stat(), stat())
    guard fstat(one, &first) == 0, fstat(other, &second) == 0 else { return false }
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino
}
