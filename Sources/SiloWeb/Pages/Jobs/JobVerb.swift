import Protobuf
import SiloAPI
import SiloCore

/// What can be done to jobs that exist.
enum JobVerb: String, CaseIterable, Sendable {
    case cancel, restart, expedite, delete

    var title: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }

    /// Such as `cancelled`.
    var done: String {
        switch self {
        case .cancel: "cancelled"
        case .restart: "restarted"
        case .expedite: "expedited"
        case .delete: "deleted"
        }
    }

    /// What will be different.
    var effect: HTML {
        switch self {
        case .cancel: "Those that wait end at once. Workers of those that run are told to stop. No attempt starts after that."
        case .restart: "Those that failed or were cancelled run again, with all their retries. Others are refused."
        case .expedite: "Those whose time is to come, a retry's too, may start now. Their limits hold. Others are refused."
        case .delete: "Those that have finished are removed, with payload, result and attempts. Others are refused."
        }
    }

    /// What its name may not say, for its button.
    var hint: String {
        switch self {
        case .cancel: "End those that wait, and tell workers to stop"
        case .restart: "Run those that failed or were cancelled again"
        case .expedite: "Let those that are scheduled for later start now"
        case .delete: "Remove those that have finished"
        }
    }

    var isFinal: Bool { self == .delete }

    /// Whether some job of a status, or of any, can be meant.
    func fits(status: String?) -> Bool {
        guard let status else { return true }
        let isFinished = ["Succeeded", "Failed", "Cancelled"].contains(status)
        switch self {
        case .cancel: return !isFinished
        case .restart: return status == "Failed" || status == "Cancelled"
        case .expedite: return status == "Scheduled"
        case .delete: return isFinished
        }
    }

    var method: String {
        switch self {
        case .cancel: SiloV1.Silo.cancelJob.path
        case .restart: SiloV1.Silo.restartJob.path
        case .expedite: SiloV1.Silo.expediteJob.path
        case .delete: SiloV1.Silo.deleteJob.path
        }
    }

    func isOffered(to visit: Visit) -> Bool { visit.may(method) }

    /// What a form asks for, of somebody who may do it.
    init(of form: Form, _ visit: Visit) throws(PageFailure) {
        guard let verb = JobVerb(rawValue: try form.required("verb")) else {
            throw PageFailure(400, "There is no such action", "It is one of cancel, restart, expedite and delete.")
        }
        try visit.site.check(visit, verb.method)
        self = verb
    }

    func perform(on job: JobKey, _ visit: Visit) async throws(CallFailure) {
        switch self {
        case .cancel:
            var request = SiloV1.CancelJobRequest()
            (request.shard, request.tenant, request.id) = (job.shard, job.tenant, job.id)
            _ = try await visit.call(SiloV1.Silo.cancelJob, request)
        case .restart:
            var request = SiloV1.RestartJobRequest()
            (request.shard, request.tenant, request.id) = (job.shard, job.tenant, job.id)
            _ = try await visit.call(SiloV1.Silo.restartJob, request)
        case .expedite:
            var request = SiloV1.ExpediteJobRequest()
            (request.shard, request.tenant, request.id) = (job.shard, job.tenant, job.id)
            _ = try await visit.call(SiloV1.Silo.expediteJob, request)
        case .delete:
            var request = SiloV1.DeleteJobRequest()
            (request.shard, request.tenant, request.id) = (job.shard, job.tenant, job.id)
            _ = try await visit.call(SiloV1.Silo.deleteJob, request)
        }
    }
}

/// Names one job, in a form.
struct JobKey: Identifier {
    let shard: String
    /// Nil without tenancy.
    let tenant: String?
    let id: String

    init(shard: String, tenant: String?, id: String) {
        self.shard = shard
        self.tenant = tenant
        self.id = id
    }

    init(_ job: SiloV1.ListedJob) { self.init(shard: job.shard, tenant: job.tenant, id: job.id) }

    /// Nil: it is none. A job's id is the rest, whatever is in it.
    init?(_ text: String) {
        let parts = text.parts(at: ":", atMost: 3)
        guard parts.count == 3, let count = Int(parts[1]), count >= 0 else { return nil }
        let rest = parts[2].unicodeScalars
        guard let end = rest.index(rest.startIndex, offsetBy: count, limitedBy: rest.endIndex) else { return nil }
        self.init(
            shard: parts[0], tenant: count == 0 ? nil : String(rest[..<end]), id: String(rest[end...]))
    }

    var text: String { "\(shard):\((tenant ?? "").unicodeScalars.count):\(tenant ?? "")\(id)" }
}

/// What became of jobs to which something was done.
struct JobReport: Sendable {
    var done: [JobKey] = []
    /// Of the others, by why not.
    var refused: [String: Int] = [:]

    /// Calls at once.
    private static let callsMax = 16

    /// One after another would take as many writes; so many at once share them.
    static func of(_ verb: JobVerb, on jobs: [JobKey], _ visit: Visit) async -> JobReport {
        var report = JobReport()
        await withTaskGroup(of: (JobKey, CallFailure?).self) { group in
            var rest = jobs[...]
            func begin() {
                guard let job = rest.popFirst() else { return }
                group.addTask {
                    do throws(CallFailure) { try await verb.perform(on: job, visit) } catch { return (job, error) }
                    return (job, nil)
                }
            }
            for _ in 0..<callsMax { begin() }
            while let (job, failure) = await group.next() {
                if let failure { report.refused[failure.text, default: 0] += 1 } else { report.done.append(job) }
                begin()
            }
        }
        return report
    }

    func notice(_ verb: JobVerb) -> Notice {
        let reasons = refused.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(5).map { reason, count -> HTML in
            " \(Quantity.of(count, "was", "were")) refused: \(Name.visible(String(reason.prefix(300))))."
        }
        let what = verb.done.prefix(1).uppercased() + verb.done.dropFirst()
        let text: HTML = "\(what) \(Quantity.of(done.count, "job")).\(reasons)"
        var notice = Notice(done.isEmpty ? .trouble : .done, text)
        // A cancelled job can be restarted, and then begins anew.
        if verb == .cancel, !done.isEmpty, done.count <= 100 {
            let fields = [("verb", JobVerb.restart.rawValue), ("of", "selected")] + done.map { ("job", $0.text) }
            notice.undo = Notice.Undo(path: JobActions.some.path, fields: fields, label: "Restart them")
        }
        return notice
    }
}
