import SiloAPI
import SiloCore

/// What is done to all jobs that meet a condition, in the background.
enum BulkActions {
    static let all = [start, stop]

    /// Fields: `verb`, and those of a filter. Asks with what a dry run says.
    static let start = Action("/do/bulk", needs: SiloV1.Silo.startBulkAction) { visit, form in
        let (verb, filter, condition) = try wanted(form, visit)
        var request = request(verb, filter, condition)
        request.dryRun = true
        let plan = try await visit.call(SiloV1.Silo.startBulkAction, request).plan ?? SiloV1.BulkPlan()
        let count = plan.isUncounted ? "all jobs that match" : Quantity.of(plan.jobs, "job")
        return Action.Confirmation(
            title: "\(verb.title) \(count)?",
            text: "<p>\(verb.effect)</p>\(BulkParts.plan(plan))\(BulkParts.condition(filter, condition))",
            button: "\(verb.title) \(count)", isFinal: verb.isFinal,
            controls: "<input type=\"hidden\" name=\"before\" value=\"\(visit.now.milliseconds + 1)\">")
    } perform: { visit, form in
        let (verb, filter, condition) = try wanted(form, visit)
        let begun = try await visit.call(SiloV1.Silo.startBulkAction, request(verb, filter, condition)).action
        return Action.Outcome(
            notice: Notice(.done, "Begun: it goes on in the background, also when you leave."),
            next: Link("/action", [("id", begun?.id)]))
    }

    static let stop = Action("/do/stop-bulk", needs: SiloV1.Silo.cancelBulkAction) { visit, form in
        Action.Confirmation(
            title: "Stop the action?",
            text: "<p>What it has done stays done. The jobs that it has not come to stay as they are.</p>",
            button: "Stop it")
    } perform: { visit, form in
        var request = SiloV1.CancelBulkActionRequest()
        request.id = try form.required("id")
        let action = try await visit.call(SiloV1.Silo.cancelBulkAction, request).action ?? SiloV1.BulkAction()
        return Action.Outcome(notice: Notice(.done, "Stopped, after \(Quantity.of(action.done, "job"))."))
    }

    private static func wanted(
        _ form: Form, _ visit: Visit
    ) throws(PageFailure) -> (JobVerb, JobFilterForm, condition: String) {
        let verb = try JobVerb(of: form, visit)
        let filter = try JobFilterForm(form)
        guard let condition = filter.condition(at: visit.now) else {
            throw PageFailure(
                400, "This cannot be done in the background", "Jobs are found there by all but limit keys and error codes.")
        }
        return (verb, filter, condition)
    }

    private static func request(_ verb: JobVerb, _ filter: JobFilterForm, _ condition: String) -> SiloV1.StartBulkActionRequest {
        var request = SiloV1.StartBulkActionRequest()
        request.tenant = filter.tenant
        request.condition = condition
        switch verb {
        case .cancel: request.kind = .cancel
        case .restart: request.kind = .restart
        case .expedite: request.kind = .expedite
        case .delete: request.kind = .delete
        }
        return request
    }
}

extension JobFilterForm {
    /// What stands after WHERE, for the same jobs; nil: it has no words for them.
    func condition(at now: Timestamp) -> String? {
        guard limit == nil, code == nil else { return nil }
        var parts: [String] = []
        if let status { parts.append("status_kind = \(Self.quoted(status))") }
        if let group { parts.append("task_group = \(Self.quoted(group))") }
        for label in labels {
            let pair = label.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let value = pair.count > 1 ? pair[1] : ""
            parts.append("array_contains(element_at(metadata, \(Self.quoted(pair[0]))), \(Self.quoted(value)))")
        }
        if let since { parts.append("status_changed_at_ms >= \(now.milliseconds - since.milliseconds)") }
        if let before { parts.append("status_changed_at_ms < \(before)") }
        return parts.isEmpty ? "true" : parts.joined(separator: " AND ")
    }

    private static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }
}
