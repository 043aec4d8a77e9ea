import Protobuf
package import SiloAPI
package import SiloCore
import SiloEngine

/// Jobs that ran elsewhere, of any shards and tenants, as many as fit into a message (spec/api.md 6.15).
package struct ImportOperations: Sendable {
    let shards: ShardResolver
    let tenancy: Tenancy
    let room: any DataRoom
    private let inHand = ImportsInHand()

    init(shards: ShardResolver, tenancy: Tenancy, room: any DataRoom) {
        self.shards = shards
        self.tenancy = tenancy
        self.room = room
    }

    /// What came of each job, in the order of the request.
    package func importJobs(
        _ request: SiloV1.ImportJobsRequest, _ context: RequestContext, _ reply: any Reply<[ImportedJob]>
    ) throws(SiloError) {
        try room.check()
        let plan = BatchPlan(request.jobs) { job throws(SiloError) in
            try context.caller.checkGroup(job.taskGroup)
            let command = try job.command(tenancy.tenant(job.tenant, of: try shards.host(job.shard), for: context))
            return (shard: try shards.serving(job.shard).shard, job: command)
        }
        let size = plan.accepted.reduce(0) { $0 + $1.job.memoryBytes }
        try inHand.enter(size)
        let order = plan.order
        let run = ImportRun(plan.accepted, context) { [inHand] results in
            inHand.leave(size)
            let results = order.merge(results)
            // As other servers of the protocol answer the import of a running job; here it stops nobody else's.
            if let first = results.first?.refusal, results.allSatisfy({ $0.refusal?.isOfRunningJob ?? false }) {
                return reply.send(.failure(first))
            }
            reply.send(zip(request.jobs, results).map { ImportedJob(id: $0.id, result: $1) })
        }
        reply.onCancel { run.abandon() }
        run.begin()
    }
}

/// What came of one job of an import: its status, or what refused it.
package struct ImportedJob: Sendable {
    package let id: String
    package let result: Result<JobStatusName, SiloError>
}

extension Import {
    /// What it takes in memory, about.
    fileprivate var memoryBytes: Int { contentBytes + 512 + 128 * attempts.count }
}

extension SiloError {
    /// An import over a running job, whose refusal is the whole call's when nothing else was asked.
    fileprivate var isOfRunningJob: Bool {
        if case .jobRefused(.reimport, _, _, .running) = self { true } else { false }
    }
}
