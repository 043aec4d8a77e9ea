import Foundation

/// A process that this program started and ends.
final class ChildProcess {
    private let process = Process()

    /// - Parameter log: takes what the process says; nil: nobody does.
    init(_ program: String, _ arguments: [String], log: FileHandle?) throws {
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = log ?? FileHandle.nullDevice
        process.standardError = log ?? FileHandle.nullDevice
        process.terminationHandler = { Interruption.shared.ended($0.processIdentifier) }
        try process.run()
        Interruption.shared.started(process.processIdentifier)
        if !process.isRunning { Interruption.shared.ended(process.processIdentifier) }
    }

    var id: Int32 { process.processIdentifier }
    var isRunning: Bool { process.isRunning }

    /// Asks it to end, and waits until it has.
    func stop() {
        if process.isRunning { process.terminate() }
        process.waitUntilExit()
    }

    /// SIGKILL: it does not get to say a word.
    func kill() {
        Glibc.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
