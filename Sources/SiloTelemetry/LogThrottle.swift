import Dispatch
import Synchronization

/// Lets the first lines of each kind through, for what others can make a server say as often as they like. At the end of
/// each period a line says how many of a kind were left out.
public final class LogThrottle: Sendable {
    /// Kinds that are told apart; further ones count as one.
    private static let kindsMax = 256

    private let logger: Logger
    private let linesMax: Int
    private let seconds: Int
    /// Lines of each kind in its period, which begins with the first.
    private let counts = Mutex<[String: Int]>([:])

    /// - Parameters:
    ///   - linesMax: lines of a kind in a period.
    ///   - seconds: the length of a period.
    public init(_ logger: Logger, linesMax: Int = 5, seconds: Int = 10) {
        self.logger = logger
        self.linesMax = linesMax
        self.seconds = seconds
    }

    /// - Parameter other: writes the line itself, as one of a call; nil: the throttle's own logger.
    public func log(
        _ level: LogLevel, kind: String, _ message: String, _ fields: Logger.Fields = [:], by other: Logger? = nil
    ) {
        let (kind, count) = counts.withLock { counts in
            let kind = counts[kind] == nil && counts.count >= Self.kindsMax ? "" : kind
            let count = counts[kind, default: 0] + 1
            counts[kind] = count
            return (kind, count)
        }
        if count == 1 {
            DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(seconds)) { self.endPeriod(of: kind, level, message) }
        }
        if count <= linesMax { (other ?? logger).log(level, message, fields) }
    }

    private func endPeriod(of kind: String, _ level: LogLevel, _ message: String) {
        let count = counts.withLock { $0.removeValue(forKey: kind) ?? 0 }
        guard count > linesMax else { return }
        logger.log(level, "lines left out", ["like": .init(message), "kind": .init(kind), "count": .init(count - linesMax)])
    }
}
