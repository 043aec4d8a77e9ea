import Dispatch
import Foundation
import Synchronization

/// Ends the processes that this program started, and removes its folder, when it is told to end itself.
final class Interruption: Sendable {
    private struct State {
        var children: Set<Int32> = []
        var folder: String?
        var isEnding = false
    }
    private let state = Mutex(State())

    static let shared = Interruption()

    func started(_ child: Int32) {
        let isLate = state.withLock { state in
            state.children.insert(child)
            return state.isEnding
        }
        if isLate { kill(child, SIGKILL) }
    }

    func ended(_ child: Int32) { state.withLock { _ = $0.children.remove(child) } }
    func owns(_ folder: String) { state.withLock { $0.folder = folder } }

    /// Ends this program at SIGINT and SIGTERM, after the others. For as long as what it returns lives.
    func watch() -> [any DispatchSourceSignal] {
        let queue = DispatchQueue(label: "signals")
        return [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
            source.setEventHandler { [self] in
                end()
                exit(128 + number)
            }
            source.resume()
            return source
        }
    }

    private func end() {
        let folder = state.withLock { state in
            state.isEnding = true
            return state.folder
        }
        // A worker whose server is gone would repeat for long what it cannot report.
        for number in [SIGTERM, SIGKILL] {
            for child in state.withLock({ $0.children }) { kill(child, number) }
            for _ in 0..<150 where state.withLock({ !$0.children.isEmpty }) { usleep(20_000) }
        }
        if let folder { try? FileManager.default.removeItem(atPath: folder) }
    }
}
