import CommandLineTool
import Foundation
import SiloCore

/// Says on a terminal what is being waited for, when a server lets one wait.
struct Notice: Sendable {
    let address: String
    private static let patienceMilliseconds: Int64 = 2000

    func whileWaiting<Answer>(_ ask: () async throws -> Answer) async throws -> Answer {
        guard isatty(STDERR_FILENO) == 1 else { return try await ask() }
        // Ended below.
        let telling = Task { [address] in
            try await SystemClock().sleep(milliseconds: Self.patienceMilliseconds)
            Program.complain("Waiting for \(address) ...")
        }
        defer { telling.cancel() }
        return try await ask()
    }
}
