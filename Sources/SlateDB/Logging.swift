import SlateDBBinding
import Synchronization

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

    /// What the object store did not answer well lately: such calls are repeated, and nothing else is heard of them until they
    /// fail for good. Nil when all is well, or `forward` was not told to send messages of level `info`.
    public static var trouble: String? { lastTrouble.withLock { $0 } }

    /// Forgets what was wrong before.
    public static func forgetTrouble() { lastTrouble.withLock { $0 = nil } }

    private static let lastTrouble = Mutex<String?>(nil)
    private static let troubleScalarsMax = 300

    fileprivate static func note(_ message: Message) {
        guard message.target == "object_store::client::retry" || message.target == "slatedb::retrying_object_store" else {
            return
        }
        let text = String(message.text.unicodeScalars.prefix(troubleScalarsMax))
        lastTrouble.withLock { $0 = text }
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
        let message = StorageLog.Message(level: level, target: record.target, text: record.message)
        StorageLog.note(message)
        receive(message)
    }
}
