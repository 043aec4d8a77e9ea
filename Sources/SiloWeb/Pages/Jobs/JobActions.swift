import SiloAPI
import SiloCore

/// What is done to some jobs: those that are named, or all that meet a filter.
enum JobActions {
    static let all = [some, enqueueAgain]

    /// Fields: `verb`; `of`, `selected` or `all`; of the first `job` for each, of the other those of the filter.
    static let some = Action("/do/jobs", needs: SiloV1.Silo.cancelJob) { visit, form in
        let wanted = try Wanted(form, visit)
        // However many they are.
        if wanted.isAll, visit.may(SiloV1.Silo.startBulkAction), wanted.filter.condition(at: visit.now) != nil {
            throw Passage(to: Link(BulkActions.start.path, form.given.map { ($0.0, $0.1) }))
        }
        let jobs = try await wanted.jobs(visit)
        guard !jobs.found.isEmpty else {
            throw PageFailure(
                400, "No job is selected", "Select jobs by the boxes beside them, or choose all jobs that match.",
                way: ("Go back", form["back"].flatMap(Link.init(local:)) ?? Link("/jobs")))
        }
        let count = Quantity.of(jobs.found.count, "job")
        let atLeast = jobs.isAll ? "" : "the first "
        let names = jobs.found.prefix(5).map { job -> HTML in "<li>\(Name(job.id).html)</li>" }
        let more: HTML = .when(jobs.found.count > 5, "<li>and \(Quantity.count(jobs.found.count - 5)) more</li>")
        let rest: HTML = .when(
            !jobs.isAll, "<p>There are more: so many are done at once. Do it again for those that are left.</p>")
        return Action.Confirmation(
            title: "\(wanted.verb.title) \(atLeast)\(count)?",
            text: "<p>\(wanted.verb.effect)</p><ul class=\"names\">\(names)\(more)</ul>\(rest)",
            button: "\(wanted.verb.title) \(count)", isFinal: wanted.verb.isFinal,
            controls: .when(wanted.isAll, "<input type=\"hidden\" name=\"before\" value=\"\(visit.now.milliseconds + 1)\">"))
    } perform: { visit, form in
        let wanted = try Wanted(form, visit)
        let jobs = try await wanted.jobs(visit)
        let report = await JobReport.of(wanted.verb, on: jobs.found, visit)
        return Action.Outcome(notice: report.notice(wanted.verb), next: wanted.next(form, report))
    }

    /// Jobs that are looked for when all are wanted.
    private static let pagesMax = 5

    private struct Wanted {
        let verb: JobVerb
        let isAll: Bool
        let keys: [JobKey]
        let filter: JobFilterForm

        init(_ form: Form, _ visit: Visit) throws(PageFailure) {
            verb = try JobVerb(of: form, visit)
            isAll = form["of"] == "all"
            var keys: [JobKey] = []
            for text in form.all("job") {
                guard let key = JobKey(text) else {
                    throw PageFailure(400, "The job cannot be read", "The field job names no job.")
                }
                keys.append(key)
            }
            self.keys = keys
            filter = try JobFilterForm(form)
        }

        /// - Returns: the jobs, and whether these are all that are meant.
        func jobs(_ visit: Visit) async throws -> (found: [JobKey], isAll: Bool) {
            guard isAll else { return (keys, true) }
            var request = filter.request(at: visit.now)
            request.omitDetails = true
            request.jobsMax = 1000
            var found: [JobKey] = []
            for _ in 0..<pagesMax {
                let list = try await visit.call(SiloV1.Silo.listJobs, request)
                found += list.jobs.map { JobKey($0) }
                request.cursor = list.nextCursor
                if list.nextCursor.isEmpty { return (found, true) }
            }
            return (found, false)
        }

        /// A job that is no more has no page to go back to.
        func next(_ form: Form, _ report: JobReport) -> Link? {
            guard verb == .delete, !report.done.isEmpty, form["back"]?.hasPrefix("/job?") == true else { return nil }
            return Link("/jobs")
        }
    }

    /// Enqueues a job like another, with an id of its own.
    static let enqueueAgain = Action("/do/enqueue-again", needs: SiloV1.Silo.enqueue) { visit, form in
        let id = try form.required("id")
        return Action.Confirmation(
            title: "Enqueue it again?",
            text: """
                <p>A new job with the payload, limits, labels, priority and retries of \(Name(id).html), to start now. \
                The old one stays as it is.</p>
                """,
            button: "Enqueue a new job")
    } perform: { visit, form in
        let old = try await visit.job(try form.required("id"), tenant: form["tenant"])
        var request = SiloV1.EnqueueRequest()
        request.shard = old.shard
        request.tenant = old.tenant
        request.priority = old.job.priority
        request.retryPolicy = old.job.retryPolicy
        request.payload = old.job.payload
        request.limits = old.job.limits
        request.metadata = old.job.metadata
        request.taskGroup = old.job.taskGroup
        request.retainMs = old.job.retainMs
        let id = try await visit.call(SiloV1.Silo.enqueue, request).id
        let link = Link.job(id, tenant: old.tenant)
        return Action.Outcome(
            notice: Notice(.done, "Enqueued job \(Name(id).html), a copy of \(Name(old.job.id).html)."), next: link)
    }
}
