import Protobuf
import SiloCore

@testable import SiloEngine
@testable import SiloStore

/// What a shard's rows say, in words that are the same in every run: times count from the start, and no row is named by chance.
struct StoredView {
    /// In the order in which they are printed.
    private enum Kind: Int {
        case job, line, limit, rate, refresh, pause, drops
    }
    private struct Label: Hashable, Comparable {
        let kind: Kind
        let name: NumberedName
        static func job(_ name: String) -> Label { Label(kind: .job, name: NumberedName(name)) }
        static func < (left: Label, right: Label) -> Bool { (left.kind.rawValue, left.name) < (right.kind.rawValue, right.name) }
    }
    private struct JobRows {
        var job = StorageV1.Job()
        var status: StorageV1.Status?
        var lease: StorageV1.Lease?
        var pending: [(family: Family, order: UInt64, task: StorageV1.Task)] = []
    }

    /// What is said of something, and the rows that it is said of.
    private struct Entry: Equatable {
        var text = ""
        var rows: [Row] = []
    }

    private var entries: [Label: Entry] = [:]
    private let words: RowWords
    private var jobs: [String: JobRows] = [:]
    /// How often the holders of tenants have been dropped.
    private var drops: [String: UInt32] = [:]
    /// The same of limits.
    private var keyDrops: [String: UInt64] = [:]

    /// - Parameter start: what times count from, on both clocks.
    init(_ rows: [Row] = [], since start: Timestamp) throws {
        words = RowWords(start: start)
        for row in rows where Slice(of: row.key) != nil { try take(row) }
        for (name, rows) in jobs { entries[.job(name), default: Entry()].text = text(rows, of: name) }
    }

    /// All of it.
    var all: [String] { Self.lines(entries.map { ($0, $1.text) }) }

    /// What was written since an earlier view, even where the same is said of it.
    func changes(from before: StoredView) -> [String] {
        let changed = entries.filter { before.entries[$0] != $1 }.map { ($0, $1.text) }
        return Self.lines(changed + before.entries.keys.filter { entries[$0] == nil }.map { ($0, "gone") })
    }

    /// One line for neighbouring jobs of which the same is to be said.
    private static func lines(_ entries: [(label: Label, text: String)]) -> [String] {
        entries.sorted { $0.label < $1.label }
            .runs { $0.label.kind == .job && $1.label.kind == .job && $0.text == $1.text }
            .map { run in
                let kind = run[0].label.kind
                return (kind == .job ? "" : "\(kind) ") + "\(run.map(\.label.name).words): \(run[0].text)"
            }
    }

    /// Names of tenants other than the usual one stand before a colon.
    static func name(_ text: String, of tenant: String) -> String { tenant == Bench.tenant.name ? text : "\(tenant):\(text)" }

    // MARK: Rows

    private mutating func take(_ row: Row) throws {
        if let index = ShardKeys.parse(row.key) { return try take(index, row) }
        var key = KeyDecoder(row.key, after: 3)
        guard let family = Family(rawValue: row.key[2]), key.uint64() != nil, let tenant = key.text() else { return }
        func name(_ text: String?) -> String { Self.name(text ?? "?", of: tenant) }
        switch family {
        case .job: try take(row, of: name(key.text())) { $0.job = try StorageV1.Job(serializedBytes: row.value) }
        case .status: try take(row, of: name(key.text())) { $0.status = try StorageV1.Status(serializedBytes: row.value) }
        case .lease: try take(row, of: name(key.text())) { $0.lease = try StorageV1.Lease(serializedBytes: row.value) }
        case .ready, .date, .delay, .waiting:
            if family == .waiting { _ = key.line() } else { _ = key.text() }
            guard let order = key.uint64(), key.uint64() != nil else { return }
            let task = try StorageV1.Task(serializedBytes: row.value)
            take(row, of: name(key.text())) { $0.pending.append((family, order, task)) }
        case .slots:
            let slots = try StorageV1.Slots(serializedBytes: row.value)
            let name = name(key.text())
            keyDrops[name] = slots.keyDrops
            set(.limit, name, words.text(slots, drops: drops[tenant] ?? 0), row)
        case .bucket:
            _ = key.text()
            set(.rate, name(key.text()), words.text(try StorageV1.Bucket(serializedBytes: row.value)), row)
        default: break
        }
    }

    private mutating func take(_ row: Row, of job: String, _ change: (inout JobRows) throws -> Void) rethrows {
        try change(&jobs[job, default: JobRows()])
        entries[.job(job), default: Entry()].rows.append(row)
    }

    private mutating func take(_ index: ShardKeys.Index, _ row: Row) throws {
        switch index {
        case .queue: break
        case .line(let tenant, _):
            let line = try StorageV1.Line(serializedBytes: row.value)
            set(.line, Self.name(ScenarioLimits.name(line.limits), of: tenant.name), "\(line.waiting) waiting", row)
        case .refresh(let tenant, let limit):
            let refresh = try StorageV1.Refresh(serializedBytes: row.value)
            set(.refresh, Self.name(limit.text, of: tenant.name), words.text(refresh), row)
        case .tenantState(let tenant):
            // It lies before what the tenant's jobs hold.
            let count = try StorageV1.TenantState(serializedBytes: row.value).drops
            drops[tenant.name] = count
            if count > 0 { set(.drops, tenant.name, "\(count)", row) }
        case .pause(let target):
            set(.pause, words.text(target), "since \(words.time(try StorageV1.Pause(serializedBytes: row.value).sinceMs))", row)
        }
    }

    private mutating func set(_ kind: Kind, _ name: String, _ text: String, _ row: Row) {
        entries[Label(kind: kind, name: NumberedName(name))] = Entry(text: text, rows: [row])
    }

    private func text(_ rows: JobRows, of name: String) -> String {
        let tenant = name.firstIndex(of: ":").map { String(name[..<$0]) } ?? Bench.tenant.name
        let drops = drops[tenant] ?? 0
        var texts: [String] = []
        let keyDrops = { self.keyDrops[Self.name($0, of: tenant)] ?? 0 }
        if let lease = rows.lease { texts.append(words.text(lease, drops: drops, keyDrops: keyDrops)) }
        texts += rows.pending.map { words.text($0.family, $0.order, $0.task, rows.job, drops: drops, keyDrops: keyDrops) }
        if let status = rows.status, status.state != .scheduled { texts.append(words.text(status)) }
        return texts.isEmpty ? "nowhere" : texts.joined(separator: " AND ")
    }
}
