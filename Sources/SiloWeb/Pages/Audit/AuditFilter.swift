import SiloAPI
import SiloCore

/// Which entries of the audit log are shown, as it stands in an address.
struct AuditFilter: Sendable {
    var who: String?
    var call: String?
    var tenant: String?
    var outcome: String?
    var since: JobFilterForm.Since?
    /// In milliseconds.
    var before: Int64?
    /// Also calls that only read.
    var hasReadings = false

    /// What stands for any outcome but OK.
    static let notDone = "not OK"

    init(_ form: Form) throws(PageFailure) {
        (who, call, tenant, outcome) = (form["who"], form["call"], form["tenant"], form["outcome"])
        hasReadings = form["readings"] != nil
        if let text = form["since"] {
            since = JobFilterForm.Since(rawValue: text)
            if since == nil { throw PageFailure(400, "There is no such time", "It is one of 15m, 1h, 24h and 7d.") }
        }
        if let text = form["before"] {
            before = Int64(text)
            if before == nil { throw PageFailure(400, "There is no such time", "The field before is a number of milliseconds.") }
        }
    }

    private var fields: [(String, String?)] {
        [
            ("who", who), ("call", call), ("tenant", tenant), ("outcome", outcome), ("since", since?.rawValue),
            ("before", before.map { String($0) }), ("readings", hasReadings ? "1" : nil),
        ]
    }

    var isEmpty: Bool { fields.allSatisfy { $0.1 == nil } }

    func link(cursor: String? = nil) -> Link { Link(AuditLogPage.path, fields + [("cursor", cursor)]) }

    /// With one thing changed.
    func with(_ change: (inout AuditFilter) -> Void) -> AuditFilter {
        var filter = self
        change(&filter)
        return filter
    }

    func request(at now: Timestamp) -> SiloV1.ListAuditEntriesRequest {
        var request = SiloV1.ListAuditEntriesRequest()
        (request.who, request.call, request.tenant) = (who ?? "", call ?? "", tenant ?? "")
        request.onlyFailed = outcome == Self.notDone
        request.outcome = request.onlyFailed ? "" : outcome ?? ""
        request.fromMs = since.map { now.milliseconds - $0.milliseconds }
        request.beforeMs = before
        request.withReadings = hasReadings
        return request
    }

    func bar(_ visit: Visit) -> HTML {
        let kept = before.map { [FilterBar.hidden("before", String($0))] } ?? []
        let controls = [
            FilterBar.field("who", "Who", who), FilterBar.field("call", "What", call, example: "Pause"),
            FilterBar.field("tenant", "Tenant", tenant),
            FilterBar.field("outcome", "Outcome", outcome, example: Self.notDone), FilterBar.since("In", since),
            FilterBar.checkbox("readings", "Also what only reads", hasReadings),
        ]
        return FilterBar(path: AuditLogPage.path, controls: kept + controls, clear: isEmpty ? nil : Link(AuditLogPage.path)).html
    }
}
