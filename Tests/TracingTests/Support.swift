import SiloTelemetry
import Synchronization

/// Chance that counts: 1, 2, 3.
final class Counting: Sendable {
    private let last = Atomic<UInt64>(0)
    func next() -> UInt64 { last.wrappingAdd(1, ordering: .relaxed).newValue }
}

extension RecordingTracer {
    static func test(
        _ sampler: Sampler = .always, into queue: SpanQueue = SpanQueue(countMax: 100, batchMax: 100)
    ) -> RecordingTracer {
        let chance = Counting()
        return RecordingTracer(sampler, into: queue) { chance.next() }
    }
}

func context(_ low: UInt64 = 7, isSampled: Bool = true) -> TraceContext? {
    guard let trace = TraceID(high: 1, low: low), let span = SpanID(9) else { return nil }
    return TraceContext(trace: trace, span: span, isSampled: isSampled)
}
