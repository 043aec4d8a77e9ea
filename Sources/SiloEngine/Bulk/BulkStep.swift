import Protobuf
import SiloCore
import SiloStore

/// Does a bulk action's work on some more jobs, and notes in the same batch that they are done: whatever crashes, each is done
/// once.
///
/// They were found on a view that is older than the shard is now. One that has changed since ends the step before it: whether it
/// still meets the condition has to be found out anew.
struct BulkStep: Duty {
    let id: BulkID
    /// Where the action is believed to stand. Elsewhere nothing is done.
    let from: Bytes
    let jobs: [FoundJob]
    /// Jobs that were looked at, and noted, of those that the first of these was found among.
    let noted: Int
    /// Where it stands when all of these are done, and how many were looked at by then; nil: at the end of its span.
    let next: Bytes?
    let rows: Int
    /// The first of them changes all the while, and is refused for it.
    var givesUp = false

    struct Answer {
        /// Of the jobs, those that are done with.
        var passed = 0
        /// Where the action stands now; nil: at the end of the span, or it has ended, or it stood elsewhere.
        var position: Bytes?
        /// The next job has changed since it was found.
        var hasChanged = false
        /// The store does not answer: there is more to do some time later.
        var isUnanswered = false
        /// The action, if it ended with this step.
        var ended: StorageV1.BulkAction?
        /// How long the shard's loop was at it.
        var milliseconds: Int64 = 0
    }

    static var isAside: Bool { true }

    /// Of one step, which reads them at once.
    static let jobsMax = 128
    /// Of what is done with them when they are read; one is done in any case.
    static let millisecondsMax: Int64 = 5

    private enum Outcome {
        case done
        case refused(String)
        /// It is not there any more, or came after the action.
        case isNone
        case hasChanged
        /// The store does not answer.
        case unread
    }

    var jobCount: Int { max(1, jobs.count) }

    func run(in transaction: Transaction) async throws(StoreError) -> Answer {
        var answer = Answer()
        guard var action = transaction.memory.bulks[id], let span = action.left.first, span.from == from else { return answer }
        let began = transaction.steady
        var tally = BulkTally(verb: action.verb)
        var reads = BulkReads(rowsOfOne: (rows - noted) / max(1, jobs.count), verb: action.verb)
        let isRead: Void? = try await transaction.ifAnswered { () async throws(StoreError) in
            try await reads.readAhead(of: jobs, in: transaction)
        }
        guard isRead != nil else {
            answer.isUnanswered = true
            return answer
        }
        transaction.begin()
        let read = transaction.steady
        for job in jobs {
            transaction.begin()
            if answer.passed > 0, transaction.steady - read >= Self.millisecondsMax { break }
            let outcome = try await act(action.verb, on: job, before: span.arrivalsBefore, in: transaction)
            switch outcome {
            case .done:
                action.done += 1
                tally.done += 1
            case .refused(let reason):
                action.refuse(job, reason)
                tally.refused += 1
            case .hasChanged where givesUp && answer.passed == 0:
                action.refuse(job, "job changes all the while")
                tally.refused += 1
            case .hasChanged: answer.hasChanged = true
            case .unread: answer.isUnanswered = true
            case .isNone: break
            }
            if answer.hasChanged || answer.isUnanswered { break }
            answer.passed += 1
        }
        advance(&action, &answer, at: transaction.now)
        transaction.put(action, id)
        transaction.memory.tally.bulk.append(tally)
        transaction.begin()
        answer.milliseconds = transaction.steady - began
        return answer
    }

    private func advance(_ action: inout StorageV1.BulkAction, _ answer: inout Answer, at now: Timestamp) {
        let isWhole = answer.passed == jobs.count
        let last = answer.passed > 0 ? jobs[answer.passed - 1] : nil
        action.lookedAt += UInt64(clamping: (isWhole ? rows : last?.row ?? noted) - noted)
        answer.position = isWhole ? next : last.map { $0.key + [0] } ?? from
        if let position = answer.position, position.lexicographicallyPrecedes(action.left[0].to) {
            action.left[0].from = position
            return
        }
        answer.position = nil
        action.left.removeFirst()
        guard action.left.isEmpty else { return }
        action.end(.done, at: now)
        answer.ended = action
    }

    private func act(
        _ verb: StorageV1.BulkVerb, on job: FoundJob, before arrivals: UInt64, in transaction: Transaction
    ) async throws(StoreError) -> Outcome {
        let view = View(of: transaction)
        let found: (stored: StoredJob, job: JobReference)
        do throws(Refusal) {
            found = try await view.find(job.tenant, job.id)
            try await view.prepare(found.stored.job.limits, of: job.tenant)
        } catch {
            switch error {
            case .refused(.jobNotFound), .refused(.tenantBeingDropped): return .isNone
            case .refused(let reason): return .refused(reason.reasonOfMany)
            case .store(let failure): return try unread(failure, in: transaction)
            }
        }
        guard found.stored.job.arrival < arrivals else { return .isNone }
        guard let stamp = job.stamp else { return .refused(SiloError.corrupt("").reasonOfMany) }
        guard JobStamp(found.stored.status, found.stored.lease) == stamp else { return .hasChanged }
        switch verb {
        case .cancel: return try await perform(Cancel(tenant: job.tenant, id: job.id), found, in: transaction)
        case .restart: return try await perform(Restart(tenant: job.tenant, id: job.id), found, in: transaction)
        case .expedite: return try await perform(Expedite(tenant: job.tenant, id: job.id), found, in: transaction)
        case .delete: return try await perform(Delete(tenant: job.tenant, id: job.id), found, in: transaction)
        default: return .refused("this program does not know what to do")
        }
    }

    /// A check could not read something: nothing was done with the job.
    private func unread(_ failure: StoreError, in transaction: Transaction) throws(StoreError) -> Outcome {
        guard transaction.mayPass(failure) else { throw failure }
        return .unread
    }

    /// As `Transaction.perform`, for a job that was read.
    private func perform<C: JobChange>(
        _ change: C, _ found: (stored: StoredJob, job: JobReference), in transaction: Transaction
    ) async throws(StoreError) -> Outcome {
        let checked: C.Found
        do throws(Refusal) {
            checked = try await change.check(View(of: transaction), found.stored, found.job)
        } catch {
            switch error {
            case .refused(let reason): return .refused(reason.reasonOfMany)
            case .store(let failure): return try unread(failure, in: transaction)
            }
        }
        _ = try await change.run(checked, in: transaction)
        if transaction.memory.limits.hasFreed { try await transaction.grants.grantFreed() }
        return .done
    }
}
