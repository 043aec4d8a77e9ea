import SiloAPI
import SiloCore

/// A value of an answer on a page: what names something leads there, times are said as people do, and long texts can be opened.
struct SQLCell {
    private let answer: SQLAnswer
    private let visit: Visit
    private let tenant: String?
    private let tenantColumn: Int?
    private let kinds: [Kind]
    /// Of long texts that can still be opened on this page, in bytes.
    private var roomBytes = 64 << 10

    private enum Kind {
        case job, tenant, group, worker, limit, shard, status, time, plain
    }
    private static let shownMax = 100
    private static let openedBytesMax = 16 << 10
    private static let statuses = Set(JobFilterForm.statuses)

    init(_ answer: SQLAnswer, _ form: SQLForm, _ visit: Visit) {
        self.answer = answer
        self.visit = visit
        tenant = form.tenant
        tenantColumn = answer.columns.firstIndex { $0.name == "tenant" }
        kinds = answer.columns.indices.map { Self.kind(answer.columns[$0], isTime: answer.times.contains($0)) }
    }

    var now: Timestamp { visit.now }

    private static func kind(_ column: SQLAnswer.Column, isTime: Bool) -> Kind {
        if isTime { return .time }
        switch column.name {
        case "id", "job_id": return .job
        case "tenant": return .tenant
        case "task_group": return .group
        case "worker_id": return .worker
        case "limit_key", "queue_name": return .limit
        case "shard_id": return .shard
        case "status_kind", "outcome": return .status
        default: return .plain
        }
    }

    mutating func html(_ row: [MessagePack], _ index: Int) -> HTML {
        let value = row[index]
        switch value {
        case .null: return "<span class=\"null\">NULL</span>"
        case .text(let text):
            if let link = link(text, kinds[index], row) { return .link(link, Name(text).html) }
            return plain(text, kinds[index])
        case .int(let number) where kinds[index] == .time: return When(Timestamp(number), now: visit.now).html
        default: return Name(value.csvText ?? "").html
        }
    }

    private mutating func plain(_ text: String, _ kind: Kind) -> HTML {
        if kind == .status, Self.statuses.contains(text) { return Name.badge(status: text) }
        let bytes = text.utf8.count
        guard bytes > Self.shownMax else { return Name(text).html }
        let head = Name.visible(String(text.unicodeScalars.prefix(Self.shownMax)))
        guard roomBytes >= min(bytes, Self.openedBytesMax) else { return "<bdi class=\"name\">\(head)…</bdi>" }
        let body = String(decoding: text.utf8.prefix(Self.openedBytesMax), as: UTF8.self)
        roomBytes -= body.utf8.count
        let rest: HTML = .when(
            bytes > Self.openedBytesMax,
            .hint("The first \(Quantity.bytes(Self.openedBytesMax)) of \(Quantity.bytes(bytes)); export has all of it."))
        return """
            <details class="long-text"><summary><bdi class="name">\(head)…</bdi> \
            <span class="hint">\(Quantity.bytes(bytes))</span></summary>\
            <pre class="tree" tabindex="0">\(Name.visibleLines(body))</pre>\(rest)</details>
            """
    }

    // MARK: Where values lead

    private func link(_ text: String, _ kind: Kind, _ row: [MessagePack]) -> Link? {
        guard !text.isEmpty, text.utf8.count <= 512 else { return nil }
        switch kind {
        case .job:
            guard visit.may(JobPage.page.needs) else { return nil }
            // With tenants, an id alone may be that of several jobs: the search knows.
            guard let owner = owner(of: row) else { return Link("/search", [("q", text)]) }
            return .job(text, tenant: owner.asTenant)
        case .tenant: return text.asTenant != nil && visit.may(TenantPage.page.needs) ? .tenant(text) : nil
        case .group: return visit.may(GroupPage.page.needs) ? .group(text) : nil
        case .worker: return visit.may(WorkerPage.page.needs) ? .worker(text) : nil
        case .limit:
            guard visit.may(LimitPage.page.needs), let owner = owner(of: row) else { return nil }
            return .limit(text, tenant: owner.asTenant)
        case .shard: return visit.may(ShardPage.page.needs) ? .shard(text) : nil
        case .status, .time, .plain: return nil
        }
    }

    /// Whose the row is, as far as it says; `-` without tenancy.
    private func owner(of row: [MessagePack]) -> String? { tenantColumn.flatMap { row[$0].text } ?? tenant }
}
