import Foundation

/// What happens while `top` runs.
enum TopEvent: Sendable {
    case typed([UInt8])
    case resized
    /// It is time to look again.
    case tick
    case sampled(Result<TopSample, Failure>)
    /// Ctrl-Z.
    case suspended
    /// By a signal.
    case ended(Int32)
}

/// Keys and signals as events. One for the process: it takes the signals from it.
///
/// `@unchecked Sendable`: `sources` is set in `init` alone, and dispatch sources may be used from any thread.
final class TopEvents: @unchecked Sendable {
    let stream: AsyncStream<TopEvent>
    let continuation: AsyncStream<TopEvent>.Continuation
    private var sources: [any DispatchSourceProtocol] = []

    init() {
        // Keys are held back by the terminal; of all else few wait.
        (stream, continuation) = AsyncStream<TopEvent>.makeStream()
        for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] { watch(number, .ended(number)) }
        watch(SIGWINCH, .resized)
        watch(SIGTSTP, .suspended)
        let keys = DispatchSource.makeReadSource(fileDescriptor: STDIN_FILENO, queue: .global())
        keys.setEventHandler { [continuation] in
            var bytes = [UInt8](repeating: 0, count: 1024)
            let count = read(STDIN_FILENO, &bytes, bytes.count)
            // The terminal is gone.
            continuation.yield(count > 0 ? .typed(Array(bytes.prefix(count))) : .ended(SIGHUP))
        }
        keys.resume()
        sources.append(keys)
    }

    private func watch(_ number: Int32, _ event: TopEvent) {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler { [continuation] in continuation.yield(event) }
        source.resume()
        sources.append(source)
    }
}
