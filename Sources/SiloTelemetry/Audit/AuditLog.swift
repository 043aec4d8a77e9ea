import Foundation

/// Writes who did what to a file of its own or to a stream, on a thread of its own: nobody who is told of waits for the disk.
///
/// Lines that come while `bytesMax` wait are dropped and counted; when there is room again, a line says how many. While the disk
/// takes nothing, the lines wait and one is tried each second. A line is on the disk when the kernel has put it there.
///
/// `@unchecked Sendable`: what changes is touched under `condition` alone, but for what the thread alone touches.
public final class AuditLog: @unchecked Sendable {
    /// Where it cannot be written.
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
        init(_ description: String) { self.description = description }
    }

    private static let farewell: TimeInterval = 1
    private static let retrySeconds: TimeInterval = 1

    private let logger: Logger
    private let bytesMax: Int
    private let condition = NSCondition()
    private var place: AuditPlace
    private var waiting: [UInt8] = []
    private var lost = 0
    private var counted: (written: UInt64, dropped: UInt64) = (0, 0)
    private var isWriting = false
    /// The last try did not write all that there was.
    private var isFailing = false
    private var isClosed = false
    private var mustReopen = false
    // The thread's.
    private var descriptor: Int32
    private var stream: Int32?
    /// What the file has of a line whose rest waits.
    private var torn: [UInt8] = []
    /// The file ends within a line, whose rest a crash took: the next one begins anew.
    private var mustEndLine = false

    /// - Parameters:
    ///   - logger: is told when lines cannot be written.
    ///   - bytesMax: what may wait.
    public init(_ place: AuditPlace, bytesMax: Int = 1 << 20, logger: Logger) throws(Failure) {
        self.place = place
        self.bytesMax = bytesMax
        self.logger = logger
        descriptor = try place.open()
        stream = place.stream
        mustEndLine = place.endsWithinLine
        Thread.detachNewThread { self.run() }
    }

    /// Lines that were written so far, and that found no room.
    public var counts: (written: UInt64, dropped: UInt64) { condition.withLock { counted } }

    /// Where lines go now.
    package var currentPlace: AuditPlace { condition.withLock { place } }

    /// Takes one line; the time is added.
    public func write(_ fields: [(String, String)]) {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let line = AuditLine.make(fields, at: now)
        condition.withLock {
            guard !isClosed, waiting.count + line.utf8.count < bytesMax else {
                lost += 1
                counted.dropped += 1
                return
            }
            append(line)
            condition.broadcast()
        }
    }

    /// Goes on in the file that now has the name, as after it was renamed by whoever rotates logs.
    /// - Parameter place: another one; nil: the same.
    /// - Throws: when it cannot be opened; then the old file is written on.
    public func reopen(as place: AuditPlace? = nil) throws(Failure) {
        let wanted = condition.withLock { place ?? self.place }
        // The thread opens it anew; here is who hears of a failure.
        Glibc.close(try wanted.open())
        condition.withLock {
            self.place = wanted
            mustReopen = true
            condition.broadcast()
        }
    }

    /// Returns when everything is written, or after a second. Nothing is taken afterwards.
    public func close() {
        let end = Date(timeIntervalSinceNow: Self.farewell)
        condition.withLock {
            isClosed = true
            condition.broadcast()
            while isWriting || !waiting.isEmpty {
                guard condition.wait(until: end) else { return }
            }
        }
    }

    private func append(_ line: String) {
        waiting += line.utf8
        waiting.append(UInt8(ascii: "\n"))
    }

    // MARK: The thread

    private func run() {
        while let bytes = take() {
            let (written, failure) = put(bytes)
            let wasFailing = condition.withLock { isFailing }
            noteTorn(bytes[..<written])
            if let failure, !wasFailing {
                logger.error("the audit log cannot be written; its lines wait", ["error": .init(failure)])
            } else if failure == nil, wasFailing {
                logger.info("the audit log is written again", ["dropped": .init(counts.dropped)])
            }
            condition.withLock {
                counted.written += UInt64(bytes[..<written].lineEnds)
                isFailing = failure != nil
                guard isFailing else { return }
                waiting = Array(bytes.dropFirst(written)) + waiting
                _ = condition.wait(until: Date(timeIntervalSinceNow: Self.retrySeconds))
            }
        }
        Glibc.close(descriptor)
    }

    /// What waits, as soon as there is something; nil when there never will be.
    private func take() -> [UInt8]? {
        condition.withLock {
            isWriting = false
            condition.broadcast()
            while waiting.isEmpty, lost == 0, !mustReopen {
                if isClosed { return nil }
                condition.wait()
            }
            if mustReopen { changeFile() }
            // Not among lines that wait: those have a bound.
            if lost > 0, !isFailing {
                let count = lost
                lost = 0
                var now = timespec()
                clock_gettime(CLOCK_REALTIME, &now)
                append(AuditLine.make([("call", "lines lost"), ("count", "\(count)")], at: now))
            }
            isWriting = true
            defer { waiting = [] }
            return waiting
        }
    }

    private func changeFile() {
        mustReopen = false
        guard let new = try? place.open() else { return }
        Glibc.close(descriptor)
        (descriptor, stream, mustEndLine) = (new, place.stream, place.endsWithinLine)
        // The new file has the line whole.
        waiting = torn + waiting
        torn = []
    }

    private func noteTorn(_ written: ArraySlice<UInt8>) {
        let end = written.lastIndex(of: UInt8(ascii: "\n"))
        torn = end.map { Array(written[($0 + 1)...]) } ?? torn + written
    }

    /// - Returns: how many bytes were written, and what kept the rest from being.
    private func put(_ bytes: [UInt8]) -> (Int, String?) {
        var (count, error) = (0, Int32(0))
        if mustEndLine {
            (count, error) = WholeLines.write([UInt8(ascii: "\n")], to: descriptor, of: stream)
            mustEndLine = count == 0
        }
        if !mustEndLine { (count, error) = WholeLines.write(bytes, to: descriptor, of: stream) }
        return (count, error == 0 ? nil : String(cString: strerror(error)))
    }
}
