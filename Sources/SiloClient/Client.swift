import GRPC
import Protobuf
package import SiloAPI
package import SiloCore

/// An application's way to Silo: enqueues jobs and looks after them. For any number of tasks at once.
///
/// Requests go to the server that holds the tenant's shard. When it has moved or does not answer they are repeated, with
/// pauses; see `ClientOptions`.
public final class Client: Sendable {
    let connections: Connections
    let lanes: Lanes
    /// Of the client's own work.
    var environment: Environment { lanes.own }
    var retry: Retry { Retry(connections: connections, clock: environment.clock) }

    /// Does not connect before the first call. Servers that make no sense, or contradict the other options, show in the calls: they end
    /// with `.invalidArgument`.
    public convenience init(_ options: ClientOptions) {
        self.init(options, in: .system) { target, tls in
            var channel = ChannelOptions()
            channel.tls = tls
            channel.keepaliveInterval = options.keepaliveInterval
            channel.keepaliveTimeout = options.keepaliveTimeout
            return Channel(target: target, channel)
        }
    }

    /// For simulations and tests: everything runs in `environment`.
    /// - Parameter connect: makes the way to a server, `host:port`.
    package convenience init(
        _ options: ClientOptions, in environment: Environment, connect: @escaping @Sendable (_ address: String) -> any Transport
    ) {
        self.init(options, in: Lanes(environment)) { target, _ in connect(target) }
    }

    init(_ options: ClientOptions, in lanes: Lanes, connect: @escaping Connections.Connect) {
        self.lanes = lanes
        connections = Connections(options, in: lanes.own, connect: connect)
    }

    /// - Parameter server: `host:port`; `https://host:port` for TLS.
    public convenience init(_ server: String = "127.0.0.1:7450") {
        self.init(ClientOptions(servers: [server]))
    }

    /// Ends every call that runs.
    public func close() { connections.close() }

    /// Returns when a server answered. Throws when none does.
    public func ping() async throws(ClientError) {
        do throws(Status) { try await connections.refresh() } catch { throw ClientError(error) }
    }

    // MARK: In

    /// Stores a job. On return it is durable. A repeated send makes no second job.
    @discardableResult
    public func enqueue(_ job: NewJob) async throws(ClientError) -> JobHandle {
        let id = job.id ?? UUID.random(from: environment.random).text
        do throws(Status) {
            _ = try await retry.run(.tenant(job.tenant)) { shard, address, tries throws(Status) in
                do throws(Status) {
                    _ = try await connections.call(SiloV1.Silo.enqueue, job.request(id: id, shard: shard), at: address)
                } catch {
                    // Nobody else has this id: an earlier send got through and its answer was lost.
                    guard job.id == nil, tries > 0, error.code == .alreadyExists else { throw error }
                    Probe.clientFoundItsOwnJob.reached()
                }
            }
        } catch {
            throw ClientError(error, job: id)
        }
        return JobHandle(id: id, tenant: job.tenant, client: self)
    }

    /// Stores many jobs, each on its own, in as few writes as there are shards. On return those that succeeded are durable.
    /// - Returns: in the jobs' order.
    public func enqueue(_ jobs: [NewJob]) async throws(ClientError) -> [Result<JobHandle, ClientError>] {
        let ids = jobs.map { $0.id ?? UUID.random(from: environment.random).text }
        var results: [Result<JobHandle, ClientError>?] = Array(repeating: nil, count: jobs.count)
        let tenants = Dictionary(grouping: jobs.indices, by: { jobs[$0].tenant.map(Tenant.init) })
        for (tenant, places) in tenants.sorted(by: { $0.value[0] < $1.value[0] }) {
            for batch in Self.batches(of: places, bytes: { jobs[$0].payload.bytes.count }) {
                do throws(Status) {
                    let answers = try await retry.run(.tenant(tenant?.name)) { shard, address, tries throws(Status) in
                        var request = SiloV1.EnqueueBatchRequest()
                        request.shard = shard
                        request.jobs = batch.map { jobs[$0].request(id: ids[$0], shard: "") }
                        let response = try await connections.call(SiloV1.Silo.enqueueBatch, request, at: address)
                        guard response.results.count == batch.count else {
                            throw Status(.internalError, "the answer has \(response.results.count) results for \(batch.count) jobs")
                        }
                        return zip(batch, response.results).map { place, answer in
                            // As for a single job: an earlier send got through.
                            let isOurs = jobs[place].id == nil && tries > 0
                                && answer.code == Status.Code.alreadyExists.rawValue
                            return isOurs ? nil : Status(answer)
                        }
                    }
                    for (place, status) in zip(batch, answers) {
                        results[place] = status.map { .failure(ClientError($0, job: ids[place])) }
                            ?? .success(JobHandle(id: ids[place], tenant: tenant?.name, client: self))
                    }
                } catch {
                    for place in batch { results[place] = .failure(ClientError(error, job: ids[place])) }
                }
            }
        }
        return results.map { $0 ?? .failure(.other(Status(.internalError, "the job was not sent"))) }
    }

    /// Jobs of one call at most, well below what a server accepts.
    private static let batchMax = 1000
    /// Payloads of one call, but for the last.
    private static let batchBytesMax = 8 << 20

    /// Parts of `places` that go in one call each.
    static func batches(of places: [Int], bytes size: (Int) -> Int) -> [[Int]] {
        var batches: [[Int]] = []
        var bytes = 0
        for place in places {
            if batches.isEmpty || batches[batches.count - 1].count == batchMax || bytes >= batchBytesMax {
                batches.append([])
                bytes = 0
            }
            batches[batches.count - 1].append(place)
            bytes += size(place)
        }
        return batches
    }

    /// A handle of a job that exists already. Asks nobody.
    public func job(_ id: String, tenant: String? = nil) -> JobHandle {
        JobHandle(id: id, tenant: tenant, client: self)
    }

    // MARK: For the handle

    func send<Request: Message, Response: Message>(
        _ method: Method<Request, Response>, job: String, tenant: String?, _ request: @Sendable (_ shard: String) -> Request
    ) async throws(ClientError) -> Response {
        do throws(Status) {
            return try await retry.run(.tenant(tenant)) { shard, address, _ throws(Status) in
                try await connections.call(method, request(shard), at: address)
            }
        } catch {
            throw ClientError(error, job: job)
        }
    }
}

extension NewJob {
    package func request(id: String, shard: String) -> SiloV1.EnqueueRequest {
        var request = SiloV1.EnqueueRequest()
        request.shard = shard
        request.id = id
        request.priority = priority
        request.startAtMs = startAt?.milliseconds ?? 0
        request.retryPolicy = retry.map(SiloV1.RetryPolicy.init)
        request.payload = payload.message
        request.limits = limits.map(SiloV1.Limit.init)
        request.tenant = tenant
        request.metadata = metadata.message
        request.taskGroup = group
        return request
    }
}

extension SiloV1.RetryPolicy {
    init(_ policy: RetryPolicy) {
        self.init()
        retryCount = policy.retries
        initialIntervalMs = policy.initialInterval.milliseconds
        maxIntervalMs = policy.maxInterval.milliseconds
        randomizeInterval = policy.jitter
        backoffFactor = policy.factor
    }
}

extension Status {
    /// Why a job of a batch was refused; nil when it was not.
    init?(_ result: SiloV1.EnqueueResult) {
        guard result.code != 0 else { return nil }
        self.init(Code(rawValue: result.code) ?? .unknown, result.error)
    }
}
