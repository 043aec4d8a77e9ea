import Foundation
import Synchronization

/// Writes lines to a descriptor on a thread of its own, so that nobody who logs waits for a reader that stands still or for a
/// disk.
///
/// Lines that come while `bytesMax` wait are dropped, and so are those that cannot be written, as on a disk that is full. When
/// lines are taken again, one says how many were dropped.
///
/// `@unchecked Sendable`: what changes is touched under `condition` alone, but for what only the writing thread touches.
final class LogWriter: @unchecked Sendable {
    /// The line for so many that were dropped.
    /// - Parameter reason: why they could not be written; nil: there was no room.
    typealias TellOfDropped = @Sendable (_ count: Int, _ reason: String?) -> String

    /// How long the end of the process waits for what is still to be written.
    static let farewell: TimeInterval = 1
    /// Between two tries to tell that lines were dropped.
    private static let retry: TimeInterval = 1

    private let path: String?
    private let bytesMax: Int
    private let tellOfDropped: TellOfDropped
    private let condition = NSCondition()
    private var waiting: [UInt8] = []
    private var dropped = Dropped()
    private var counted: (written: UInt64, dropped: UInt64) = (0, 0)
    private var isWriting = false
    private var isStarted = false
    /// The file was opened again: this takes the place of `descriptor`.
    private var reopened: Int32?
    // The writing thread's.
    private var descriptor: Int32
    /// The last line that was written lacks its end.
    private var isTorn = false
    /// Why something was not taken.
    private var lastError: Int32 = 0

    private struct Dropped {
        var count = 0
        var reason: String?
    }

    /// - Parameters:
    ///   - path: of the file that `descriptor` has open; nil: it is none that could be opened again.
    ///   - bytesMax: what may wait, in bytes, besides what is being written.
    init(_ descriptor: Int32, path: String? = nil, bytesMax: Int = 4 << 20, tellOfDropped: @escaping TellOfDropped) {
        self.descriptor = descriptor
        self.path = path
        self.bytesMax = bytesMax
        self.tellOfDropped = tellOfDropped
    }

    /// Appends to a file, which is made when it is not there.
    convenience init(file path: String, tellOfDropped: @escaping TellOfDropped) throws(LogFileError) {
        self.init(try Self.open(path), path: path, tellOfDropped: tellOfDropped)
    }

    /// Takes one line without its end.
    func write(_ line: String) {
        condition.withLock {
            guard waiting.count + line.utf8.count < bytesMax else {
                counted.dropped += 1
                return dropped.count += 1
            }
            waiting += line.utf8
            waiting.append(UInt8(ascii: "\n"))
            if !isStarted {
                isStarted = true
                Thread.detachNewThread { self.run() }
            }
            condition.broadcast()
        }
    }

    /// Returns when everything is written, or when the time is over.
    func flush(seconds: TimeInterval = farewell) {
        let end = Date(timeIntervalSinceNow: seconds)
        condition.withLock {
            while isWriting || !waiting.isEmpty {
                guard condition.wait(until: end) else { return }
            }
        }
    }

    /// Goes on in the file that now has the name: it was moved away. Without a file nothing happens.
    /// - Throws: when it cannot be opened; the old one goes on being written to.
    func reopen() throws(LogFileError) {
        guard let path else { return }
        let new = try Self.open(path)
        let unused = condition.withLock {
            defer { reopened = new }
            return reopened
        }
        if let unused { close(unused) }
    }

    /// Lines that were written, and that were dropped.
    var counts: (written: UInt64, dropped: UInt64) { condition.withLock { counted } }

    private static func open(_ path: String) throws(LogFileError) -> Int32 {
        let descriptor = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw LogFileError(path: path, reason: String(cString: strerror(errno))) }
        return descriptor
    }

    // MARK: The writing thread

    private func run() {
        while true {
            let (bytes, new) = waitForWork()
            if let new {
                close(descriptor)
                (descriptor, isTorn) = (new, false)
            }
            put(bytes)
            tellOfDroppedLines()
        }
    }

    private func waitForWork() -> (bytes: [UInt8], new: Int32?) {
        condition.withLock {
            isWriting = false
            if waiting.isEmpty { condition.broadcast() }
            while waiting.isEmpty, reopened == nil {
                guard dropped.count > 0 else {
                    condition.wait()
                    continue
                }
                // Perhaps lines are taken by now.
                guard condition.wait(until: Date(timeIntervalSinceNow: Self.retry)) else { break }
            }
            isWriting = true
            defer { (waiting, reopened) = ([], nil) }
            return (waiting, reopened)
        }
    }

    /// Blocks. Lines that are not taken are lost, and counted.
    private func put(_ bytes: [UInt8]) {
        let rest = append(bytes)
        let (all, lost) = (bytes.lineEnds, rest.lineEnds)
        let reason = rest.isEmpty ? nil : String(cString: strerror(lastError))
        condition.withLock {
            counted.written += UInt64(all - lost)
            counted.dropped += UInt64(lost)
            dropped.count += lost
            dropped.reason = reason ?? dropped.reason
        }
    }

    private func tellOfDroppedLines() {
        let told = condition.withLock {
            defer { dropped = Dropped() }
            return dropped
        }
        // Not among those that wait: there it might find no room.
        guard told.count > 0, !append(Array((tellOfDropped(told.count, told.reason) + "\n").utf8)).isEmpty else { return }
        condition.withLock { dropped = Dropped(count: dropped.count + told.count, reason: dropped.reason ?? told.reason) }
    }

    /// - Returns: what was not taken.
    private func append(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        // What comes does not go on in a line that could not be ended.
        if isTorn, !bytes.isEmpty, writeAll([UInt8(ascii: "\n")]).isEmpty { isTorn = false }
        guard !isTorn else { return bytes[...] }
        let rest = writeAll(bytes)
        if let last = bytes[..<rest.startIndex].last { isTorn = last != UInt8(ascii: "\n") }
        return rest
    }

    private func writeAll(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        let (count, error) = WholeLines.write(bytes, to: descriptor, of: path == nil ? descriptor : nil)
        if error != 0 { lastError = error }
        return bytes[count...]
    }
}

/// A file for the log that cannot be opened.
public struct LogFileError: Error, CustomStringConvertible {
    let path: String
    let reason: String
    public var description: String { "cannot open the log file \(path): \(reason)" }
}

extension Sequence<UInt8> {
    var lineEnds: Int { reduce(0) { $0 + ($1 == UInt8(ascii: "\n") ? 1 : 0) } }
}
