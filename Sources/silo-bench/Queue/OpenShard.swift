import SiloCore
import SiloEngine
import SiloStore
import SlateDB

/// A shard in this process, over a database on disk.
final class OpenShard: JobQueue {
    static let group = "default"
    private static let worker = "silo-bench"

    /// Who names the jobs, and whether rows of jobs that live at the same time are neighbours in the files.
    enum Names {
        /// The shard, in the order of the enqueues.
        case ordered
        /// The caller, at random.
        case random
    }

    let shard: Shard
    private let payload: Payload
    private let names: Names
    private let chance = SystemRandom()

    init(_ store: any KeyValueStore, payload: Payload, names: Names = .ordered) async throws {
        self.payload = payload
        self.names = names
        shard = try await Shard.open(store)
    }

    func close() async throws { try await shard.close() }

    func enqueue(_ tenants: [String?], sent: Instant, completion: @escaping @Sendable (Result<Void, Failure>) -> Void) {
        let bytes = payload.bytes(sent: sent)
        let jobs = tenants.map { name in
            Enqueue(tenant: name.map { Tenant($0) } ?? .none, id: id, payload: bytes, taskGroup: Self.group)
        }
        if jobs.count == 1 {
            shard.submit(jobs[0]) { completion($0.map { _ in }.mapError { Failure("enqueue: \($0)") }) }
        } else {
            shard.submit(EnqueueAll(jobs)) { completion($0.map { _ in }.mapError { Failure("enqueue: \($0)") }) }
        }
    }

    private var id: JobID? {
        switch names {
        case .ordered: nil
        case .random: JobID(UUID.random(from: chance).text)
        }
    }

    func lease(
        _ countMax: Int, waitMilliseconds: Int, completion: @escaping @Sendable (Result<[LeasedJob], Failure>) -> Void
    ) {
        let lease = Lease(worker: Self.worker, group: Self.group, taskCountMax: countMax)
        shard.lease(lease, waitMilliseconds: Int64(waitMilliseconds)) { result in
            completion(result.map { leased in
                leased.tasks.map { task in
                    LeasedJob(
                        taskID: task.id, tenant: task.tenant == .none ? nil : task.tenant.name, shard: "",
                        sent: Payload.sent(in: task.job.payload)
                    )
                }
            }.mapError { Failure("lease: \($0)") })
        }
    }

    func report(_ jobs: [LeasedJob], completion: @escaping @Sendable (Result<Void, Failure>) -> Void) {
        let reports = jobs.map { job in
            ReportOutcome(
                tenant: job.tenant.map { Tenant($0) } ?? .none, task: job.taskID, outcome: .success(result: emptyObject)
            )
        }
        if reports.count == 1 {
            shard.submit(reports[0]) { completion($0.mapError { Failure("report: \($0)") }) }
        } else {
            shard.submit(Each(reports)) { result in
                completion(
                    result.flatMap { results in
                        Result { for result in results { try result.get() } }.mapError { $0 as? SiloError ?? .corrupt("\($0)") }
                    }
                    .mapError { Failure("report: \($0)") })
            }
        }
    }
}

/// The result of every job: an empty MessagePack map.
let emptyObject: [UInt8] = [0x80]
