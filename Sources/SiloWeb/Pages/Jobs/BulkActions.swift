import SiloAPI
import SiloCore

/// What is done to all jobs that meet a condition, in the background.
enum BulkActions {
    static let all = [start, stop]

    static func isOffered(to visit: Visit) -> Bool { visit.may(start.needs) && visit.caller.groups == nil }

    /// Fields: `verb`, and those of a filter. Asks with what a dry run says.
    static let start = Action("/do/bulk", needs: SiloV1.Silo.startBulkAction) { visit, form in
        let (verb, filter, condition) = try wanted(form, visit)
        let all = "\(verb.title) all jobs that match"
        let counting = Action.Finding(meanwhile: "Counting how many there are…") {
            var request = request(verb, filter, condition)
            request.dryRun = true
            let plan = try await visit.call(SiloV1.Silo.startBulkAction, request).plan ?? SiloV1.BulkPlan()
            let refused = plan.statuses.reduce(0) { $0 + ($1.refusal.isEmpty ? 0 : $1.jobs) }
            let able = plan.jobs - min(plan.jobs, refused)
            let button = able == 0 ? "" : "\(verb.title) \(Quantity.of(able, "job"))"
            return (BulkParts.plan(plan), plan.isUncounted ? nil : button)
        }
        return Action.Confirmation(
            title: "\(all)?", text: "<p>\(verb.effect)</p>\(BulkParts.condition(filter, condition))",
            button: all, finding: counting, isFinal: verb.isFinal,
            controls: Action.newID(visit)
                + HTML(joining: filter.bounds(at: visit.now).map { FilterBar.hidden($0, String($1)) }))
    } perform: { visit, form in
        let (verb, filter, condition) = try wanted(form, visit)
        var request = request(verb, filter, condition)
        request.id = Action.newID(form)
        let begun = try await visit.call(SiloV1.Silo.startBulkAction, request).action ?? SiloV1.BulkAction()
        // The form was sent before, when a shard did not answer: then the others were told to stop.
        let isPart = begun.shards.contains { $0.state == .stopped }
        let notice = isPart
            ? Notice(.trouble, "It was stopped on some shards when one did not answer. For the rest, begin another.")
            : Notice(.done, "Begun: it goes on in the background, also when you leave.")
        return Action.Outcome(notice: notice, next: Link("/action", [("id", begun.id)]))
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

    private static func wanted(_ form: Form, _ visit: Visit) throws(PageFailure) -> (JobVerb, JobFilterForm, condition: String) {
        let filter = try JobFilterForm(form)
        return (try JobVerb(of: form, visit), filter, filter.condition(at: visit.now))
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
    /// What stands after WHERE, for the same jobs.
    func condition(at now: Timestamp) -> String {
        var parts: [String] = []
        if let status { parts.append("status_kind = \(Self.quoted(status))") }
        if let group { parts.append("task_group = \(Self.quoted(group))") }
        for label in labels {
            let (key, value) = Self.parts(of: label)
            parts.append("array_contains(element_at(metadata, \(Self.quoted(key))), \(Self.quoted(value)))")
        }
        if let limit { parts.append("contains(limits, \(Self.quoted("{\"key\":\(Self.json(limit)),\"limit_type\":")))") }
        if let code { parts.append("error_code = \(Self.quoted(code))") }
        if let from = from(at: now) { parts.append("status_changed_at_ms >= \(from)") }
        if let before { parts.append("status_changed_at_ms < \(before)") }
        return parts.isEmpty ? "true" : parts.joined(separator: " AND ")
    }

    /// The fields that keep its times as they are now, however long somebody thinks.
    func bounds(at now: Timestamp) -> [(String, Int64)] {
        let from = self.from == nil ? from(at: now).map { [("from", $0)] } ?? [] : []
        return from + (before == nil ? [("before", now.milliseconds + 1)] : [])
    }

    private static func quoted(_ text: String) -> String {
        "'" + text.parts(at: "'").joined(separator: "''") + "'"
    }

    /// As the column `limits` has it.
    private static func json(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": quoted += "\\\(scalar)"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case ..<" ": quoted += "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
