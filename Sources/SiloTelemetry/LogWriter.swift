import Foundation

/// Writes lines to a descriptor on a thread of its own, so that nobody who logs waits for a reader that stands still.
///
/// Lines that come while `bytesMax` wait are dropped; when there is room again, a line says how many.
///
/// `@unchecked Sendable`: what changes is touched under `condition` alone.
final class LogWriter: @unchecked Sendable {
    /// How long the end of the process waits for what is still to be written.
    private static let farewell: TimeInterval = 1

    private let descriptor: Int32
    private let bytesMax: Int
    private let tellOfDropped: @Sendable (Int) -> String
    private let condition = NSCondition()
    private var waiting: [UInt8] = []
    private var dropped = 0
    private var isWriting = false
    private var isStarted = false

    /// - Parameters:
    ///   - bytesMax: what may wait, in bytes, besides what is being written.
    ///   - tellOfDropped: the line for so many that were dropped.
    init(_ descriptor: Int32, bytesMax: Int = 4 << 20, tellOfDropped: @escaping @Sendable (Int) -> String) {
        self.descriptor = descriptor
        self.bytesMax = bytesMax
        self.tellOfDropped = tellOfDropped
    }

    /// Standard output, in text and in JSON. A program uses one of them.
    static let text: LogWriter = standardOutput(.text) { text.flush() }
    static let json: LogWriter = standardOutput(.json) { json.flush() }

    private static func standardOutput(_ format: Logger.Format, atEnd: @escaping @convention(c) () -> Void) -> LogWriter {
        atexit(atEnd)
        return LogWriter(STDOUT_FILENO) { count in
            Logger.line(.warn, "log", "lines were dropped", ["count": .init(count)], as: format)
        }
    }

    /// Takes one line without its end.
    func write(_ line: String) {
        condition.withLock {
            guard waiting.count + line.utf8.count < bytesMax else { return dropped += 1 }
            waiting += line.utf8
            waiting.append(UInt8(ascii: "\n"))
            if !isStarted {
                isStarted = true
                Thread.detachNewThread { self.run() }
            }
            condition.broadcast()
        }
    }

    /// Returns when everything is written, or after a second.
    func flush() {
        let end = Date(timeIntervalSinceNow: Self.farewell)
        condition.withLock {
            while isWriting || !waiting.isEmpty {
                guard condition.wait(until: end) else { return }
            }
        }
    }

    private func run() {
        while true {
            let bytes = condition.withLock {
                isWriting = false
                if waiting.isEmpty { condition.broadcast() }
                while waiting.isEmpty { condition.wait() }
                isWriting = true
                defer { waiting = [] }
                return waiting
            }
            put(bytes)
            let count = condition.withLock {
                defer { dropped = 0 }
                return dropped
            }
            // Not among those that wait: there it might find no room.
            if count > 0 { put(Array((tellOfDropped(count) + "\n").utf8)) }
        }
    }

    /// Blocks. What a closed descriptor does not take is lost.
    private func put(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { bytes in
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = Glibc.write(descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
                guard count > 0 else {
                    if count < 0, errno == EINTR { continue }
                    // Somebody made it one that does not block.
                    if count < 0, errno == EAGAIN {
                        var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                        poll(&room, 1, -1)
                        continue
                    }
                    return
                }
                rest = rest.dropFirst(count)
            }
        }
    }
}
