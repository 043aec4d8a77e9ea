import GRPC
import SiloAPI
import SiloCore
import SiloTelemetry

/// Brings new jobs to their shards. Single ones that come at the same time share their calls.
final class Enqueuer: Sendable {
    struct Job: Sendable {
        let job: NewJob
        let id: String
        /// Whom it is enqueued for.
        let trace: TraceContext?
        var weight: Int { job.weight + id.utf8.count + (trace == nil ? 0 : 64) }
    }
    private let calls: EnqueueCalls
    private let gatherer: Gatherer<Target, Job>
    /// Of one call, well below what a server accepts.
    static let bounds = CallBounds(countMax: 1000, bytesMax: 8 << 20)
    /// A call to a server that is slow, or away, does not hold up those that come after it.
    private static let patience = Duration.seconds(1)

    init(_ router: Router, in environment: Environment) {
        let calls = EnqueueCalls(router: router)
        self.calls = calls
        gatherer = Gatherer(
            .init(bounds: Self.bounds, patience: Self.patience, usesCallersTask: true), clock: environment.clock,
            start: { environment.start($0) },
            deliver: { parcels, target, letNextGo in await calls.deliver(parcels, to: target, tried: letNextGo) }
        )
    }

    /// Returns when the job is durable.
    func enqueue(_ job: Job) async throws(Status) {
        let shard = calls.router.knownShard(of: job.job.tenant)
        try await gatherer.send(Parcel(job, weight: job.weight), to: shard.map { .shard($0) } ?? .tenant(named: job.job.tenant))
    }

    /// - Returns: for each job why it was refused; nil when it is durable.
    func enqueue(_ jobs: [Job]) async -> [Status?] {
        let calls = calls
        return await calls.router.spread(
            jobs, within: Self.bounds, tenant: \.job.tenant, weight: { $0.weight }, unsent: { $1 },
            send: { jobs, shard in
                let parcels = jobs.map { Parcel($0, weight: 0) }
                await calls.deliver(parcels, to: shard)
                return parcels.map { if case .refused(let status) = $0.answer { status } else { nil } }
            }
        )
    }
}

/// The calls that it makes.
private struct EnqueueCalls: Sendable {
    let router: Router

    /// On return each has its answer.
    /// - Parameter isRepeated: they have been sent before.
    func deliver(
        _ parcels: [Parcel<Enqueuer.Job>], to target: Target, isRepeated: Bool = false, tried: () -> Void = {}
    ) async {
        let left = await router.deliver(parcels, to: target, tried: tried) { jobs, shard, address, tries throws(Status) in
            try await send(jobs, shard, address, isRepeated: isRepeated || tries > 0)
        }
        guard let left else { return }
        if case .shard(let shard) = target, left.status.isWrongShard, router.isGone(shard) {
            // Others hold its tenants now.
            for parcel in left.parcels { await deliver([parcel], to: .tenant(named: parcel.item.job.tenant), isRepeated: true) }
        } else if left.mayBeOfOne {
            for parcel in left.parcels { await deliver([parcel], to: target, isRepeated: true) }
        } else {
            left.refuse()
        }
    }

    private func send(
        _ jobs: [Enqueuer.Job], _ shard: String, _ address: String, isRepeated: Bool
    ) async throws(Status) -> [Status?] {
        let refusals = try await send(jobs, shard, address)
        return zip(jobs, refusals).map { job, refusal in
            // Nobody else has this id: an earlier send got through and its answer was lost.
            guard isRepeated, job.job.id == nil, refusal?.code == .alreadyExists else { return refusal }
            Probe.clientFoundItsOwnJob.reached()
            return nil
        }
    }

    private func send(_ jobs: [Enqueuer.Job], _ shard: String, _ address: String) async throws(Status) -> [Status?] {
        if jobs.count == 1 {
            do throws(Status) {
                let request = jobs[0].job.request(id: jobs[0].id, shard: shard)
                _ = try await router.call(SiloV1.Silo.enqueue, request, at: address, for: jobs[0].trace)
                return [nil]
            } catch where error.code == .alreadyExists {
                return [error]
            } catch {
                throw error
            }
        }
        var request = SiloV1.EnqueueBatchRequest()
        request.shard = shard
        request.jobs = jobs.map { job in
            var request = job.job.request(id: job.id, shard: "")
            if let trace = job.trace { (request.traceparent, request.tracestate) = (trace.header, trace.state) }
            return request
        }
        let response = try await router.call(SiloV1.Silo.enqueueBatch, request, at: address)
        guard response.results.count == jobs.count else {
            throw Status(.internalError, "the answer has \(response.results.count) results for \(jobs.count) jobs")
        }
        return response.results.map(Status.init)
    }
}

extension Status {
    /// Why a job of a batch was refused; nil when it was not.
    fileprivate init?(_ result: SiloV1.EnqueueResult) {
        guard result.code != 0 else { return nil }
        self.init(Code(rawValue: result.code) ?? .unknown, result.error)
    }
}
