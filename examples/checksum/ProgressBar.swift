import Foundation
import Synchronization

/// Shows how far a long piece of work is: a bar on a terminal, a line now and then elsewhere.
final class ProgressBar: Sendable {
    private struct State {
        var done = 0
        var note = ""
        var lastTenth = -1
        var lastDraw = ContinuousClock.now - .seconds(1)
    }
    private let title: String
    private let total: Int
    private let isTerminal = isatty(STDOUT_FILENO) == 1
    private let begun = ContinuousClock.now
    private let state = Mutex(State())

    init(_ title: String, total: Int) {
        self.title = title
        self.total = max(1, total)
    }

    var done: Int { state.withLock { $0.done } }

    func advance(by count: Int = 1) {
        state.withLock { state in
            state.done += count
            draw(&state)
        }
    }

    /// Says something without disturbing the bar.
    func say(_ text: String) {
        state.withLock { state in
            print((isTerminal ? "\r\u{1B}[K" : "") + text)
            state.lastDraw -= .seconds(1)
            draw(&state)
        }
    }

    private func draw(_ state: inout State) {
        let share = Double(state.done) / Double(total)
        let seconds =
            Double(begun.duration(to: .now).components.seconds) + Double(begun.duration(to: .now).components.attoseconds) / 1e18
        let text = "\(title) \(state.done)/\(total), \(Int(Double(state.done) / max(seconds, 0.001)))/s"
        if isTerminal {
            guard state.lastDraw.duration(to: .now) > .milliseconds(50) || state.done >= total else { return }
            state.lastDraw = .now
            let filled = Int(share * 40)
            let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 40 - filled)
            print("\r\(bar) \(text)\u{1B}[K", terminator: state.done >= total ? "\n" : "")
            fflush(nil)
        } else if Int(share * 10) > state.lastTenth {
            state.lastTenth = Int(share * 10)
            print(text)
        }
    }
}
