import Protobuf
import SiloCore
import SiloStore
import Synchronization

@testable import SiloEngine

extension Shard {
    /// Submits an operation. `completion` runs once.
    func submit(_ operation: Operation, _ completion: @escaping @Sendable (Answer) -> Void) {
        switch operation {
        case .enqueue(let new): submit(new.command) { completion($0.answer { _ in .done }) }
        case .enqueueAll(let new): submit(EnqueueAll(new.map(\.command))) { completion($0.answer { _ in .done }) }
        case .lease(let group, let count, let worker):
            lease(Lease(worker: worker, group: group, taskCountMax: count)) {
                completion($0.answer { .leased($0.tasks.map(Given.init)) })
            }
        case .leaseOne(let key, let worker):
            submit(LeaseJob(tenant: key.tenant, id: key.id, worker: worker)) { completion($0.answer { .leased([Given($0)]) }) }
        case .heartbeat(let tenant, let task, let worker):
            submit(Heartbeat(tenant: tenant, task: task, worker: worker)) { completion($0.answer { .cancelledAt($0) }) }
        case .report(let tenant, let task, let kind):
            submit(ReportOutcome(tenant: tenant, task: task, outcome: kind.outcome)) { completion($0.answer { .done }) }
        case .giveBack(let tasks): submit(Release(tasks)) { completion($0.answer { .done }) }
        case .cancel(let key): submit(Cancel(tenant: key.tenant, id: key.id)) { completion($0.answer { .done }) }
        case .restart(let key): submit(Restart(tenant: key.tenant, id: key.id)) { completion($0.answer { .done }) }
        case .expedite(let key): submit(Expedite(tenant: key.tenant, id: key.id)) { completion($0.answer { .done }) }
        case .delete(let key): submit(Delete(tenant: key.tenant, id: key.id)) { completion($0.answer { .done }) }
        case .sweep(let tenant, let state, let period):
            let part = SweepFinished.Part.period(tenant, UInt8(state.rawValue), period)
            submit(SweepFinished(part: part)) { completion($0.answer { .erased($0.erased) }) }
        case .sweepKept(let tenant, let time):
            let part = SweepFinished.Part.keptUntil(Slice(of: tenant.hash), by: time)
            submit(SweepFinished(part: part)) { completion($0.answer { .erased($0.erased) }) }
        case .drop(let tenant): submit(DropTenant(tenant: tenant)) { completion($0.answer { _ in .done }) }
        case .dropStep(let tenant):
            submit(DropStep(tenant: tenant)) { completion($0.answer { .dropped(isDone: $0.isDone) }) }
        }
    }

    func answers(_ operations: [Operation]) async -> [Answer] {
        var answers: [Answer] = []
        for operation in operations {
            answers.append(
                await withCheckedContinuation { continuation in submit(operation) { continuation.resume(returning: $0) } })
        }
        return answers
    }

    /// Has the loop look at its clock; false when the shard has stopped.
    func look() async -> Bool {
        (try? await lease(Lease(worker: "", group: "", taskCountMax: 0))) != nil
    }
}

extension Result where Failure == SiloError {
    func answer(_ success: (Success) -> Answer) -> Answer {
        switch self {
        case .success(let value): success(value)
        case .failure(let error): .refused(error)
        }
    }
}

extension NewJob {
    var command: Enqueue {
        var policy: StorageV1.RetryPolicy?
        if let retries {
            var given = StorageV1.RetryPolicy()
            given.retryCount = retries
            given.initialIntervalMs = interval
            given.maxIntervalMs = 60_000
            given.backoffFactor = 2
            policy = given
        }
        return Enqueue(
            tenant: key.tenant, id: key.id, priority: priority, startAtMs: startAtMs, retryPolicy: policy,
            payload: [1, 2, 3], metadata: ["group": group], taskGroup: group, retainMs: retain
        )
    }
}

extension Operation.Kind {
    var outcome: ReportOutcome.Outcome {
        switch self {
        case .success: .success(result: [7])
        case .failure: .failure(code: "BROKEN", data: [8])
        case .cancelled: .cancelled
        }
    }
}
