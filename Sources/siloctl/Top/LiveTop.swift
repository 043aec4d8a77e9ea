import CommandLineTool
import Foundation
import SiloCore

/// Draws what goes on until somebody ends it.
struct LiveTop {
    private let arguments: Arguments
    private let output: Output
    private let address: String
    private let milliseconds: Int64
    private let clock = SystemClock()
    private var choices: TopChoices
    private var history = TopHistory()
    /// What is shown: of now, or of when it was paused.
    private var moment: TopFrame.Moment?
    private var failure: String?
    private var lastAnswer: Timestamp
    private var sampling: (wish: TopSample.Wish, task: Task<Void, Never>)?
    private var server: Server?

    /// A server that does not answer for so long is one that does not answer.
    private static let patience = Duration.seconds(5)

    init(_ arguments: Arguments, _ choices: TopChoices, _ output: Output, address: String, every milliseconds: Int64) {
        self.arguments = arguments
        self.choices = choices
        self.output = output
        self.address = address
        self.milliseconds = milliseconds
        lastAnswer = clock.steady
    }

    mutating func run() async throws {
        // What the command line says of servers is checked before the screen is taken.
        server = try Server(arguments, patience: Self.patience)
        try Screen.enter()
        defer { Screen.leave() }
        let events = TopEvents()
        // Ended below.
        let ticking = Task { [clock, milliseconds] in
            repeat { events.continuation.yield(.tick) } while (try? await clock.sleep(milliseconds: milliseconds)) != nil
        }
        defer {
            ticking.cancel()
            sampling?.task.cancel()
            server?.close()
        }
        var keys = KeyReader()
        draw()
        for await event in events.stream {
            switch event {
            case .typed(let bytes):
                let (columns, page) = (table?.columns.count ?? 1, self.page)
                for key in keys.keys(bytes) {
                    guard choices.press(key, columns: columns, page: page) else { return }
                }
                if moment.map({ $0.sample.wish != choices.wish }) ?? false, !choices.isPaused { look(events) }
            case .tick: look(events)
            case .sampled(let answer): take(answer, events)
            case .resized: break
            case .suspended: try stopAWhile()
            case .ended(let signal): return end(by: signal)
            }
            draw()
        }
    }

    // MARK: Looking

    /// Asks the servers, unless they are being asked.
    private mutating func look(_ events: TopEvents) {
        guard sampling == nil else { return }
        let wish = choices.wish
        if server == nil { server = try? Server(arguments, patience: Self.patience) }
        guard let server else { return }
        // Ended by its calls, or with `run`.
        let task = Task { [events = events.continuation] in
            do {
                events.yield(.sampled(.success(try await TopSample.take(server, wish))))
            } catch {
                events.yield(.sampled(.failure(error as? Failure ?? Failure("\(error)"))))
            }
        }
        sampling = (wish, task)
    }

    private mutating func take(_ answer: Result<TopSample, Failure>, _ events: TopEvents) {
        let asked = sampling?.wish
        sampling = nil
        switch answer {
        case .success(let sample):
            failure = nil
            lastAnswer = clock.steady
            history.add(sample.nodes, at: clock.steady)
            if !choices.isPaused || moment == nil {
                moment = TopFrame.Moment(sample, history, now: clock.now.milliseconds)
                // Somebody has chosen another table meanwhile.
                if asked != choices.wish { look(events) }
            }
        case .failure(let reason):
            failure = reason.description
            // The next one looks anew where the servers are.
            server?.close()
            server = nil
        }
    }

    // MARK: Showing

    private var page: Int { TopFrame.page(Screen.size) }
    private var table: TopTable? { moment.map { frame($0).table } }

    private func frame(_ moment: TopFrame.Moment) -> TopFrame {
        let failure = failure.map { ($0, clock.steady - lastAnswer) }
        return TopFrame(moment: moment, choices: choices, address: address, failure: failure, times: output.times)
    }

    private mutating func draw() {
        let size = Screen.size
        guard let moment else {
            let text = failure.map { Line("No answer from \(address) yet, asking again: \($0)", .bad) } ?? "Asking \(address) ..."
            let lines: [Line] = ["\("siloctl top", .heading)", "", text, "", Line("q quit", .quiet)]
            return Screen.draw(lines.prefix(size.lines).map { $0.cut(to: size.columns).text(isColored: output.isColored) })
        }
        choices.keepOffset(rows: table?.rows.count ?? 0, page: page)
        Screen.draw(frame(moment).lines(size).map { $0.text(isColored: output.isColored) })
    }

    private func stopAWhile() throws {
        Screen.leave()
        // Of this thread, so that it is not here any more; here it goes on.
        raise(SIGSTOP)
        try Screen.enter()
    }

    /// Ctrl-C ends it well; by all else it ends as if it had not looked.
    private func end(by number: Int32) {
        guard number != SIGINT else { return }
        Screen.leave()
        signal(number, SIG_DFL)
        // Dispatch keeps signals that it looks for from its threads.
        var own = sigset_t()
        sigemptyset(&own)
        sigaddset(&own, number)
        pthread_sigmask(SIG_UNBLOCK, &own, nil)
        raise(number)
    }
}
