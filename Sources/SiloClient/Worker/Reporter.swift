import GRPC
import SiloAPI
import SiloCore
import SiloTelemetry

/// Sends outcomes to their shards, again and again until they are taken or refused for good: work that is done is not lost
/// because a server is away. Those that come while a call is on its way share the next one.
final class Reporter: Sendable {
    private let gatherer: Gatherer<String, SiloV1.ReportOutcomeRequest>
    static let bounds = CallBounds(countMax: 256, bytesMax: 8 << 20)

    /// - Parameter sending: where outcomes are sent; cancelling it gives up those that are not taken.
    init(_ client: Client, sending: TaskBag) {
        let router = client.router
        gatherer = Gatherer(
            .init(bounds: Self.bounds, usesCallersTask: false), clock: client.environment.clock,
            start: { sending.start($0) },
            deliver: { parcels, shard, _ in await Self.deliver(parcels, to: shard, router) }
        )
    }

    /// On return the outcome is durable.
    /// - Throws: why it was refused; `.cancelled` when it was given up.
    func report(_ request: SiloV1.ReportOutcomeRequest) async throws(Status) {
        try await gatherer.send(Parcel(request, weight: request.weight), to: request.shard)
    }

    /// On return each has its answer.
    private static func deliver(_ parcels: [Parcel<SiloV1.ReportOutcomeRequest>], to shard: String, _ router: Router) async {
        let left = await router.deliver(parcels, to: .shard(shard), .forever) { requests, _, address, _ throws(Status) in
            try await send(requests, to: shard, at: address, router)
        }
        guard let left else { return }
        guard left.mayBeOfOne else { return left.refuse() }
        for parcel in left.parcels { await deliver([parcel], to: shard, router) }
    }

    /// For each outcome why it was refused. Throws what concerns all of them.
    private static func send(
        _ requests: [SiloV1.ReportOutcomeRequest], to shard: String, at address: String, _ router: Router
    ) async throws(Status) -> [Status?] {
        if requests.count == 1 {
            let trace = TraceContext(requests[0].traceparent, state: requests[0].tracestate)
            _ = try await router.call(SiloV1.Silo.reportOutcome, requests[0], at: address, for: trace)
            return [nil]
        }
        var request = SiloV1.ReportOutcomesRequest()
        request.shard = shard
        request.outcomes = requests
        let response = try await router.call(SiloV1.Silo.reportOutcomes, request, at: address)
        guard response.results.count == requests.count else {
            throw Status(.internalError, "the answer has \(response.results.count) results for \(requests.count) outcomes")
        }
        return response.results.map { result in
            result.code == 0 ? nil : Status(Status.Code(rawValue: result.code) ?? .unknown, result.error)
        }
    }
}

extension SiloV1.ReportOutcomeRequest {
    /// Bytes on the wire, or a little more.
    fileprivate var weight: Int {
        let content = switch outcome {
        case .success(let result): Payload(result).bytes.count
        case .failure(let failure): Payload(failure.data).bytes.count + failure.code.utf8.count
        case .cancelled, nil: 0
        }
        return content + shard.utf8.count + taskId.utf8.count + (tenantId?.utf8.count ?? 0) + 128
    }
}
