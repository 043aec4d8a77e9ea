import Foundation
import GRPC
import Protobuf
package import SiloCore
public import SiloTelemetry
import Synchronization

/// Sends the spans of a process to a collector, over OTLP and gRPC, in batches and beside all else: whoever ends a span never
/// waits for the collector. What it does not take in time is dropped and counted.
public final class SpanExporter: Sendable {
    /// Makes the spans that are sent.
    public let tracer: RecordingTracer
    private let queue: SpanQueue
    private let settings: TracingSettings
    private let scope: (name: String, version: String)
    private let channel: Channel
    private let headers: Metadata
    private let environment: SiloCore.Environment
    private let logger: Logger
    private let throttle: LogThrottle
    private let state: Mutex<State>

    private struct State {
        /// Only changes are logged.
        var isTaken = true
        var running: Task<Void, Never>?
    }

    /// As the environment says; nil: nothing is to be exported, or it cannot be, which is logged.
    /// - Parameters:
    ///   - service: what the process is called when the environment does not say.
    ///   - resource: told of the process besides.
    public convenience init?(
        of service: String, version: String, _ variables: [String: String],
        resource: [(name: String, value: String)] = [], logger: Logger = .silent
    ) {
        var settings = TracingSettings(variables, service: service)
        for mistake in settings.mistakes { logger.warn("a variable of OpenTelemetry is ignored", ["because": .init(mistake)]) }
        let given = Set(settings.resource.map(\.name))
        let telemetry = [("service.version", version), ("telemetry.sdk.name", "silo"), ("telemetry.sdk.language", "swift")]
        settings.resource += (resource + telemetry).filter { !given.contains($0.0) }
        self.init(settings, version: version, in: .system, logger: logger)
    }

    package init?(_ settings: TracingSettings, version: String, in environment: SiloCore.Environment, logger: Logger) {
        guard let target = settings.target else { return nil }
        var options = ChannelOptions()
        options.isQuiet = true
        var headers = Metadata()
        do {
            if settings.security == .tls { options.tls = try Self.tls(settings) }
        } catch {
            logger.error("traces are not exported: a file of the collector's TLS cannot be read", ["error": .init("\(error)")])
            return nil
        }
        for (name, value) in settings.headers { headers.append(name, value) }
        self.settings = settings
        self.headers = headers
        self.environment = environment
        self.logger = logger
        throttle = LogThrottle(logger, linesMax: 1)
        scope = ("silo", version)
        channel = Channel(target: target, options)
        queue = SpanQueue(countMax: settings.queueMax, batchMax: settings.batchMax)
        tracer = RecordingTracer(settings.sampler, into: queue) { [random = environment.random] in random.next() }
        state = Mutex(State())
        logger.info("traces are exported", ["collector": .init(target), "sampler": .init("\(settings.sampler)")])
        // `close` ends it.
        let running = environment.start { await self.run() }
        state.withLock { $0.running = running }
    }

    private static func tls(_ settings: TracingSettings) throws -> ClientTLS {
        func read(_ path: String?) throws -> [UInt8]? { try path.map { Array(try Data(contentsOf: URL(fileURLWithPath: $0))) } }
        return ClientTLS(
            rootCA: try read(settings.certificate), certificateChain: try read(settings.clientCertificate),
            privateKey: try read(settings.clientKey)
        )
    }

    /// Sends what waits and ends. What the collector has not taken by then is dropped.
    public func close(within milliseconds: Int64 = 3000) async {
        queue.close()
        guard let running = state.withLock({ $0.running }) else { return }
        let clock = environment.clock
        // Ends when it is cancelled, or has cancelled.
        let limit = environment.start {
            guard (try? await clock.sleep(milliseconds: milliseconds)) != nil else { return }
            running.cancel()
        }
        await running.value
        limit.cancel()
        channel.close()
    }

    // MARK: The work

    private func run() async {
        while !queue.isClosed {
            await untilBatch()
            repeat { await export(queue.take()) } while queue.hasBatch && !Task.isCancelled
        }
        while queue.counts.waiting > 0, !Task.isCancelled { await export(queue.take()) }
        // There was no time for them.
        queue.note(failed: queue.counts.waiting)
    }

    /// Returns when there is a whole batch, or some time has passed.
    private func untilBatch() async {
        let (queue, clock, delay) = (queue, environment.clock, Int64(settings.delayMilliseconds))
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await queue.untilFull() }
            group.addTask { try? await clock.sleep(milliseconds: delay) }
            await group.next()
            group.cancelAll()
        }
    }

    private func export(_ spans: [FinishedSpan]) async {
        guard !spans.isEmpty else { return }
        let request = OTLPCollector.ExportTraceServiceRequest(spans, resource: settings.resource, scope: scope)
        do throws(Status) {
            let refused = try await send(request.serializedBytes())
            let count = Int(min(Int64(spans.count), max(0, refused.rejectedSpans)))
            queue.note(exported: spans.count - count, failed: count)
            if count > 0 {
                throttle.log(.warn, kind: "", "the collector refused spans", [
                    "count": .init(count), "error": .init(Self.short(refused.errorMessage)),
                ])
            }
            note(failure: nil)
        } catch {
            queue.note(failed: spans.count)
            note(failure: error)
        }
    }

    /// Tries until the collector has taken it, refuses it, or the time is over.
    private func send(_ request: [UInt8]) async throws(Status) -> OTLPCollector.ExportTracePartialSuccess {
        let clock = environment.clock
        let end = clock.steady + Int64(settings.exportMilliseconds)
        var retrying = Retrying()
        while true {
            let left = max(1, min(Int64(settings.timeoutMilliseconds), end - clock.steady))
            do throws(Status) {
                let answer = try await channel.unary(
                    OTLPCollector.TraceService.export.path, request, metadata: headers, timeout: .milliseconds(left)
                )
                let response = try? OTLPCollector.ExportTraceServiceResponse(serializedBytes: answer)
                return response?.partialSuccess ?? OTLPCollector.ExportTracePartialSuccess()
            } catch {
                guard !Task.isCancelled, let pause = retrying.pause(after: error, chance: environment.random.next()),
                    clock.steady + pause < end, (try? await clock.sleep(milliseconds: pause)) != nil
                else { throw error }
            }
        }
    }

    private func note(failure: Status?) {
        let isChange = state.withLock { state in
            defer { state.isTaken = failure == nil }
            return state.isTaken != (failure == nil)
        }
        guard isChange else { return }
        if let failure {
            logger.warn("the collector does not take spans; they are dropped", ["error": .init(Self.short("\(failure)"))])
        } else {
            logger.info("the collector takes spans again")
        }
    }

    /// What a collector says may be long.
    private static func short(_ text: String) -> String { String(text.prefix(300)) }
}
