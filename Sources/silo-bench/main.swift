import CommandLineTool
import Foundation

// A pipe that is closed early must not end the run before it has cleaned up.
signal(SIGPIPE, SIG_IGN)

switch CommandLine.arguments.dropFirst().first {
case "suite": await Program.run(suiteUsage) { arguments in try await Suite(arguments).run() }
case "ask": await Program.run(askUsage) { arguments in try await AskRun(arguments).run() }
default: await Program.run(loadUsage) { arguments in try await LoadRun(arguments).run() }
}
