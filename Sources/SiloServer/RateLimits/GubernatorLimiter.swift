import GRPC
import SiloAPI
import SiloCore
import SiloEngine
import SiloTelemetry
import Synchronization

/// Asks Gubernator, many checks in one call.
///
/// A check is answered within the time of a window and of a call. Windows end by `clock`; calls end by the C core's
/// own deadline.
final class GubernatorLimiter: RateLimiter {
    typealias Completion = @Sendable (RateAnswer) -> Void

    /// Between two tries to reach it at the start.
    private static let retryMilliseconds: Int64 = 100

    private let settings: GubernatorSettings
    private let clock: any Clock
    private let logger: Logger
    private let connection: GubernatorConnection
    private let checks: Mutex<CheckCoalescer<Completion>>
    /// Whether the last call went well: only changes are logged.
    private let isAnswering = Atomic<Bool>(true)

    /// Connects at the first call.
    init(_ settings: GubernatorSettings, clock: any Clock, logger: Logger) throws(StartError) {
        self.settings = settings.bounded
        self.clock = clock
        self.logger = logger
        connection = try GubernatorConnection(self.settings)
        checks = Mutex(CheckCoalescer(batchMax: self.settings.batchMax))
    }

    /// Asks whether it is there, again and again until the connect timeout has passed.
    /// - Parameter name: what the operator calls the setting that names it.
    /// - Throws: when it does not answer.
    func connect(called name: String = SettingNames().gubernator) async throws(StartError) {
        let end = clock.steady + Int64(settings.connectTimeoutMilliseconds)
        while true {
            do {
                let health = try await health(milliseconds: max(1, end - clock.steady))
                if health.status != "healthy" {
                    logger.warn(
                        "gubernator is not healthy",
                        [
                            "status": .init(RateAnswer.shortened(health.status)),
                            "reason": .init(RateAnswer.shortened(health.message)),
                        ])
                }
                return
            } catch {
                let left = end - clock.steady
                let pause = min(left, Self.retryMilliseconds)
                guard error.code == .unavailable, left > 0, (try? await clock.sleep(milliseconds: pause)) != nil else {
                    throw StartError(
                        "gubernator at \(settings.address) does not answer (\(error)): start it first, or leave \(name) out"
                    )
                }
            }
        }
    }

    func check(_ check: RateCheck, completion: @escaping Completion) {
        switch checks.withLock({ $0.add(check, for: completion) }) {
        case .gather: break
        case .send(let batch): send(batch)
        case .refuse(let text): completion(.failed(text))
        case .openWindow(let number):
            // Ends with the window, which is short.
            Task {
                try? await clock.sleep(milliseconds: Int64(settings.coalesceMilliseconds))
                if let batch = checks.withLock({ $0.windowEnded(number) }) { send(batch) }
            }
        }
    }

    /// Answers everybody who waits, and from now on at once. May be called again.
    func close() {
        for completion in checks.withLock({ $0.close() }) { completion(.failed("the rate limiter is closed")) }
        connection.close()
    }

    private func health(milliseconds: Int64) async throws(Status) -> PbGubernator.HealthCheckResp {
        let result = await withCheckedContinuation { continuation in
            connection.call(PbGubernator.V1.healthCheck, .init(), milliseconds: Int(milliseconds)) {
                continuation.resume(returning: $0)
            }
        }
        return try result.get()
    }

    private func send(_ batch: CheckCoalescer<Completion>.Batch) {
        var request = PbGubernator.GetRateLimitsReq()
        request.requests = batch.checks.map { .init($0) }
        connection.call(PbGubernator.V1.getRateLimits, request, milliseconds: settings.requestTimeoutMilliseconds) {
            self.finish(batch.number, $0)
        }
    }

    private func finish(_ number: Int, _ result: Result<PbGubernator.GetRateLimitsResp, Status>) {
        let answers: CheckCoalescer<Completion>.Answers
        switch result {
        case .success(let response):
            answers = checks.withLock { $0.answered(number, response.responses.map { RateAnswer($0) }) }
            note(failure: nil)
        case .failure(let status):
            let text = "gubernator: \(RateAnswer.shortened("\(status)"))"
            answers = checks.withLock { $0.failed(number, text) }
            // Calls that a close cut off say nothing of Gubernator.
            if !answers.isEmpty { note(failure: text) }
        }
        for (completion, answer) in answers { completion(answer) }
    }

    private func note(failure: String?) {
        guard isAnswering.exchange(failure == nil, ordering: .relaxed) != (failure == nil) else { return }
        if let failure {
            logger.warn("rate checks fail; jobs that need them are put off", ["error": .init(failure)])
        } else {
            logger.info("rate checks are answered again")
        }
    }
}
