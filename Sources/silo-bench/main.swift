import CommandLineTool
import Foundation

// A pipe that is closed early must not end the run before it has cleaned up.
signal(SIGPIPE, SIG_IGN)

if CommandLine.arguments.dropFirst().first == "suite" {
    await Program.run(suiteUsage) { arguments in try await Suite(arguments).run() }
} else {
    await Program.run(loadUsage) { arguments in try await LoadRun(arguments).run() }
}
