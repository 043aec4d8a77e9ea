import SiloCore
import SiloTelemetry

/// Says in the log what is being waited for: after a second, and then every few, until it ends. Nobody who starts a server has to
/// guess what it does.
struct Waiting {
    private let telling: Task<Void, Never>

    private static let firstMilliseconds: Int64 = 1000
    private static let laterMilliseconds: Int64 = 5000

    /// - Parameters:
    ///   - details: what is left to come.
    ///   - trouble: what went wrong so far.
    init(
        _ what: String, _ logger: Logger, in environment: Environment, details: @escaping @Sendable () -> [String],
        trouble: @escaping @Sendable () -> String?
    ) {
        // Ended by `end`.
        telling = environment.start {
            let begun = environment.clock.steady
            var pause = Self.firstMilliseconds
            while (try? await environment.clock.sleep(milliseconds: pause)) != nil {
                let trouble = trouble()
                logger.log(trouble == nil ? .info : .warn, "waiting for \(what)", [
                    "seconds": .init(Int((environment.clock.steady - begun) / 1000)),
                    "for": .init(details().joined(separator: " ")), "trouble": .init(trouble ?? "none"),
                ])
                pause = Self.laterMilliseconds
            }
        }
    }

    func end() { telling.cancel() }
}
