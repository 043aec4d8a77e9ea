import CommandLineTool
import Dispatch
import Foundation
import SiloAPI
import SiloCore

/// Shows how far a bulk action has come until it has ended. Ctrl-C ends the showing, not the action.
struct BulkProgress {
    let action: SiloV1.BulkAction
    /// Jobs that were found to meet the condition; nil: nobody counted them.
    let planned: UInt64?
    let server: Server
    /// Empty: all of that server's.
    let shard: String
    let output: Output

    /// How often in a row nobody may answer, as while a server starts anew.
    private static let triesMax = 120
    private static let patienceMilliseconds: Int64 = 1000
    private static let intervalMilliseconds: Int64 = 500
    private static let barColumns = 24

    static func advice(_ id: String) -> String { "siloctl jobs action \(id) --watch shows it, siloctl jobs stop \(id) ends it" }

    static func ask(_ server: Server, _ shard: String, _ id: String) async throws -> SiloV1.BulkAction {
        var request = SiloV1.GetBulkActionRequest()
        request.id = id
        request.shard = shard
        return try await server.call(SiloV1.Silo.getBulkAction, request).action ?? SiloV1.BulkAction()
    }

    func run() async throws {
        let interruption = whenInterrupted { [id = action.id] in
            Program.complain("\nIt goes on: \(Self.advice(id))")
            exit(1)
        }
        defer { interruption.cancel() }
        let clock = SystemClock()
        let began = (at: clock.steady, action: action)
        var now = action
        while now.state == .running || !now.missingShards.isEmpty {
            show(line(now, since: began.action, milliseconds: clock.steady - began.at))
            try await clock.sleep(milliseconds: Self.intervalMilliseconds)
            now = try await askPatiently(clock)
        }
        show("", isLast: true)
        // It took a while: times are told from now.
        let times = Times(isUTC: output.times.isUTC, isISO: output.times.isISO, now: clock.now.milliseconds)
        try output.print(now.object, now.lines(times))
        guard now.state == .done else {
            throw Failure("the action \(now.state.word)\(now.error.isEmpty ? "" : ": \(now.error)")")
        }
        guard now.refused == 0 else {
            throw Failure("\(Words.grouped(now.refused)) of \(Words.count(now.done + now.refused, "job")) refused")
        }
    }

    /// Whoever cannot ask any more is told that the action goes on.
    private func askPatiently(_ clock: SystemClock) async throws -> SiloV1.BulkAction {
        var tries = 0
        while true {
            do {
                return try await Self.ask(server, shard, action.id)
            } catch {
                tries += 1
                guard (error as? Failure)?.isPassing == true, tries < Self.triesMax else {
                    show("", isLast: true)
                    Program.complain("It goes on: \(Self.advice(action.id))")
                    throw error
                }
            }
            try await clock.sleep(milliseconds: Self.patienceMilliseconds)
        }
    }

    private func whenInterrupted(_ body: @escaping @Sendable () -> Void) -> any DispatchSourceSignal {
        signal(SIGINT, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler(handler: body)
        source.resume()
        return source
    }

    /// `[######------] 48 %, 480,112 done, 3 refused, 9,800/s, 53 s left`
    private func line(_ now: SiloV1.BulkAction, since began: SiloV1.BulkAction, milliseconds: Int64) -> String {
        let share = share(now)
        let filled = Int(share * Double(Self.barColumns))
        let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: Self.barColumns - filled)
        var parts = ["[\(bar)] \(Int(share * 100)) %", "\(Words.grouped(now.done)) done"]
        if now.refused > 0 { parts.append("\(Words.grouped(now.refused)) refused") }
        let seconds = Double(milliseconds) / 1000
        let gained = share - self.share(began)
        if seconds >= 1 {
            parts.append("\(Words.grouped(UInt64(Double(now.done - min(now.done, began.done)) / seconds)))/s")
            if gained > 0.001 { parts.append("\(Words.length(Int64((1 - share) / gained * seconds * 1000))) left") }
        }
        return parts.joined(separator: ", ")
    }

    /// How much is done: by the jobs that were counted, or by those that were looked at, whichever is more.
    private func share(_ action: SiloV1.BulkAction) -> Double {
        let looked = Double(action.lookedAt) / Double(max(1, action.expected))
        let done = planned.map { Double(action.done + action.refused) / Double(max(1, $0)) } ?? 0
        return min(1, max(looked, done))
    }

    /// One line that is written again and again, for people only.
    private func show(_ text: String, isLast: Bool = false) {
        guard !output.isJSON, isatty(STDERR_FILENO) == 1 else { return }
        FileHandle.standardError.write(Data("\r\u{1b}[K\(text)".utf8))
    }
}
