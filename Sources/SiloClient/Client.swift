import GRPC
import Protobuf
package import SiloCore

/// An application's way to Silo: enqueues jobs and looks after them. For any number of tasks at once.
///
/// Requests go to the server that holds the tenant's shard. When it has moved or does not answer they are repeated, with
/// pauses; see `ClientOptions`.
public final class Client: Sendable {
    let router: Router
    let lanes: Lanes
    private let enqueuer: Enqueuer
    /// Of the client's own work.
    var environment: Environment { lanes.own }
    var options: ClientOptions { router.options }

    /// Does not connect before the first call. Servers that make no sense, or contradict the other options, show in the calls:
    /// they end with `.invalidArgument`.
    public convenience init(_ options: ClientOptions) {
        self.init(options, in: .system, connect: Connections.channels(options))
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
        router = Router(options, in: lanes.own, connect: connect)
        enqueuer = Enqueuer(router, in: lanes.own)
    }

    /// - Parameter server: `host:port`; `https://host:port` for TLS.
    public convenience init(_ server: String = "127.0.0.1:7450") {
        self.init(ClientOptions(servers: [server]))
    }

    /// Ends every call that runs.
    public func close() { router.close() }

    /// Returns when a server answered. Throws when none does.
    public func ping() async throws(ClientError) {
        do throws(Status) { try await router.refresh() } catch { throw ClientError(error) }
    }

    // MARK: In

    /// Stores a job. On return it is durable. A repeated send makes no second job.
    ///
    /// Jobs that many tasks enqueue at the same time travel together; one that comes alone goes at once. Cancelling the task
    /// gives the job up: whether it was stored is not known then.
    @discardableResult
    public func enqueue(_ job: NewJob) async throws(ClientError) -> JobHandle {
        let id = job.id ?? newID()
        let span = EnqueueSpan(of: job, id, options.tracer)
        do throws(Status) { try await enqueuer.enqueue(.init(job: job, id: id, trace: span.context)) } catch {
            span.end(error)
            throw ClientError(error, job: id)
        }
        span.end(nil)
        return JobHandle(id: id, tenant: job.tenant, client: self)
    }

    /// Stores many jobs, each on its own: as many calls as their shards and sizes need, the shards side by side. On return those
    /// that succeeded are durable. A call that fails fails its jobs and no others.
    /// - Returns: in the jobs' order.
    public func enqueue(_ jobs: [NewJob]) async throws(ClientError) -> [Result<JobHandle, ClientError>] {
        let begun = jobs.map { job in
            let id = job.id ?? newID()
            return (job, id, EnqueueSpan(of: job, id, options.tracer))
        }
        let jobs = begun.map { Enqueuer.Job(job: $0, id: $1, trace: $2.context) }
        return zip(zip(jobs, begun), await enqueuer.enqueue(jobs)).map { entry, refusal in
            let (job, (_, _, span)) = entry
            span.end(refusal)
            if let refusal { return .failure(ClientError(refusal, job: job.id)) }
            return .success(JobHandle(id: job.id, tenant: job.job.tenant, client: self))
        }
    }

    private func newID() -> String { UUID.ordered(at: environment.clock.now, from: environment.random).text }

    /// A handle of a job that exists already. Asks nobody.
    public func job(_ id: String, tenant: String? = nil) -> JobHandle {
        JobHandle(id: id, tenant: tenant, client: self)
    }

    // MARK: For the handle

    /// - Parameter request: as far as it is more than the job's name.
    func send<Request: JobRequest, Response: Message>(
        _ method: Method<Request, Response>, _ job: JobHandle, _ request: Request = Request()
    ) async throws(ClientError) -> Response {
        do throws(Status) {
            return try await router.call(method, to: .tenant(named: job.tenant)) { shard in
                var request = request
                (request.shard, request.id, request.tenant) = (shard, job.id, job.tenant)
                return request
            }
        } catch {
            throw ClientError(error, job: job.id)
        }
    }
}
