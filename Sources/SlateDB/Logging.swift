import SlateDBBinding

/// Messages of the storage engine.
public enum StorageLog {
    public enum Level: Int, Sendable {
        case error, warning, info, debug, trace
    }

    public struct Message: Sendable {
        public let level: Level
        /// The part of the engine that speaks.
        public let target: String
        public let text: String
    }

    /// Sends messages of `level` and graver to `receive`, on the engine's threads. Once for a process.
    public static func forward(_ level: Level, to receive: @escaping @Sendable (Message) -> Void) throws(StorageError) {
        let levels: [LogLevel] = [.error, .warn, .info, .debug, .trace]
        try lifting { try initLogging(level: levels[level.rawValue], callback: Receiver(receive)) }
    }
}

private final class Receiver: LogCallback {
    private let receive: @Sendable (StorageLog.Message) -> Void

    init(_ receive: @escaping @Sendable (StorageLog.Message) -> Void) { self.receive = receive }

    func log(record: LogRecord) {
        let level: StorageLog.Level
        switch record.level {
        case .off, .error: level = .error
        case .warn: level = .warning
        case .info: level = .info
        case .debug: level = .debug
        case .trace: level = .trace
        }
        receive(StorageLog.Message(level: level, target: record.target, text: record.message))
    }
}
