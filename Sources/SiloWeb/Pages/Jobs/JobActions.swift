import SiloAPI
import SiloCore

/// What is done to some jobs.
enum JobActions {
    static let all = [some, enqueueAgain]

    /// Fields: `verb`; `of`, `selected` or `all`; of the first `job` for each, of the other those of the filter, which is done in
    /// the background, however many they are.
    static let some = Action("/do/jobs", needs: SiloV1.Silo.cancelJob) { visit, form in
        let verb = try JobVerb(of: form, visit)
        if form["of"] == "all" {
            // What is selected besides is not meant.
            throw Passage(to: Link(BulkActions.start.path, form.given.filter { $0.0 != "job" }.map { ($0.0, $0.1) }))
        }
        let jobs = try selected(form)
        let count = Quantity.of(jobs.count, "job")
        let names = jobs.prefix(5).map { job -> HTML in "<li>\(Name(job.id).html)</li>" }
        let more: HTML = .when(jobs.count > 5, "<li>and \(Quantity.count(jobs.count - 5)) more</li>")
        return Action.Confirmation(
            title: "\(verb.title) \(count)?", text: "<p>\(verb.effect)</p><ul class=\"names\">\(names)\(more)</ul>",
            button: "\(verb.title) \(count)", isFinal: verb.isFinal)
    } perform: { visit, form in
        let verb = try JobVerb(of: form, visit)
        let report = await JobReport.of(verb, on: try selected(form), visit)
        // A job that is no more has no page to go back to.
        let isGone = verb == .delete && !report.done.isEmpty && form["back"]?.hasPrefix("/job?") == true
        return Action.Outcome(notice: report.notice(verb), next: isGone ? Link("/jobs") : nil)
    }

    private static func selected(_ form: Form) throws(PageFailure) -> [JobKey] {
        var keys: [JobKey] = []
        for text in form.all("job") {
            guard let key = JobKey(text) else {
                throw PageFailure(400, "The job cannot be read", "The field job names no job.")
            }
            keys.append(key)
        }
        guard !keys.isEmpty, form["of"] != "all" else {
            throw PageFailure(
                400, "No job is selected", "Select jobs by the boxes beside them, or choose all jobs that match.",
                way: ("Go back", form["back"].flatMap(Link.init(local:)) ?? Link("/jobs")))
        }
        return keys
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
            button: "Enqueue a new job", controls: Action.newID(visit))
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
        request.id = Action.newID(form)
        func outcome(_ id: String, _ what: HTML) -> Action.Outcome {
            .init(
                notice: Notice(.done, "\(what) \(Name(id).html), a copy of \(Name(old.job.id).html)."),
                next: Link.job(id, tenant: old.tenant))
        }
        do throws(CallFailure) {
            return outcome(try await visit.call(SiloV1.Silo.enqueue, request).id, "Enqueued job")
        } catch {
            // The form was sent before, and did it though its answer did not say so.
            guard error.kind == .exists, !request.id.isEmpty else { throw error }
            return outcome(request.id, "This was done already, as job")
        }
    }
}
