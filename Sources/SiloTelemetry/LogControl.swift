import Foundation
import Synchronization

/// What all loggers of a process share and what can be changed while it runs: which lines are written, and into which file.
public final class LogControl: Sendable {
    private struct Filters {
        /// As the process was started, or last told to read its settings again.
        var configured: LogFilter
        var now: LogFilter
    }
    private let filters: Mutex<Filters>
    /// The most talkative level of any part, by its raw value: most lines that are not written are known by it.
    private let most: Atomic<Int>
    private let writer: LogWriter?

    init(_ filter: LogFilter, writer: LogWriter? = nil) {
        filters = Mutex(Filters(configured: filter, now: filter))
        most = Atomic(filter.mostTalkative.rawValue)
        self.writer = writer
    }

    public var filter: LogFilter { filters.withLock { $0.now } }

    /// Which lines are written until the next `configure`.
    /// - Parameter filter: nil: those that were configured.
    /// - Returns: what was in force before.
    @discardableResult
    public func set(_ filter: LogFilter?) -> LogFilter {
        filters.withLock { filters in
            let before = filters.now
            filters.now = filter ?? filters.configured
            most.store(filters.now.mostTalkative.rawValue, ordering: .relaxed)
            return before
        }
    }

    /// The settings were read again.
    public func configure(_ filter: LogFilter) {
        filters.withLock { $0.configured = filter }
        set(nil)
    }

    func allows(_ level: LogLevel, _ part: String) -> Bool {
        level.rawValue <= most.load(ordering: .relaxed) && filters.withLock { $0.now.allows(level, part) }
    }

    /// Goes on in a new file of the same name: the old one was moved away.
    /// - Throws: when it cannot be opened; the old one goes on being written to.
    public func reopenFile() throws(LogFileError) { try writer?.reopen() }

    /// Lines since the process began: written, and dropped because nobody took them in time or the disk was full.
    public var lines: (written: UInt64, dropped: UInt64) { writer?.counts ?? (0, 0) }
}

extension LogWriter {
    /// Those of this process, to be written out at its end.
    private static let all = Mutex<[LogWriter]>([])

    /// Standard output, whoever asks for it. A program uses one format.
    static let text = LogWriter(STDOUT_FILENO, tellOfDropped: tell(.text)).writtenAtEnd()
    static let json = LogWriter(STDOUT_FILENO, tellOfDropped: tell(.json)).writtenAtEnd()

    static func tell(_ format: Logger.Format) -> TellOfDropped {
        { count, reason in
            let fields: Logger.Fields = reason.map { ["count": .init(count), "because": .init($0)] } ?? ["count": .init(count)]
            return LogLine(.warn, "log", "lines were dropped", fields).text(as: format)
        }
    }

    func writtenAtEnd() -> LogWriter {
        let isFirst = Self.all.withLock { all in
            all.append(self)
            return all.count == 1
        }
        if isFirst { atexit { for writer in LogWriter.all.withLock({ $0 }) { writer.flush() } } }
        return self
    }
}
