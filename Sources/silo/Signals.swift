import Foundation

/// Where the handler writes; a constant at first, so that the handler never initialises it.
///
/// `nonisolated(unsafe)`: set once, before the handler is installed.
private nonisolated(unsafe) var wordFor: Int32 = -1

/// The signals that a server listens to: those that end it, and the one that makes it read its settings anew. The handler is
/// there from the first moment of the process and leaves word in a pipe, so that none is lost which comes before somebody
/// reads it.
enum Signals {
    private static let names = [SIGTERM: "SIGTERM", SIGINT: "SIGINT", SIGHUP: "SIGHUP"]

    /// Installs the handler.
    /// - Returns: where word comes; nil where the process may open nothing: then a signal ends it as ever.
    static func hold() -> Int32? {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        // The reader may wait; the handler may not.
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        wordFor = ends[1]
        for number in names.keys {
            signal(number) { number in
                let before = errno
                var byte = UInt8(truncatingIfNeeded: number)
                _ = write(wordFor, &byte, 1)
                errno = before
            }
        }
        return ends[0]
    }

    /// Tells the name of each that came and comes, from a thread that lives as long as the process.
    static func tell(_ word: Int32?, _ handler: @escaping @Sendable (String) -> Void) {
        guard let word else { return }
        Thread.detachNewThread {
            var byte: UInt8 = 0
            while true {
                let count = read(word, &byte, 1)
                if count < 0, errno == EINTR { continue }
                guard count == 1 else { return }
                handler(names[Int32(byte)] ?? "signal \(byte)")
            }
        }
    }
}
