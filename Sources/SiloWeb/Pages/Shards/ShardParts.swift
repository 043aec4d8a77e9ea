import SiloCore

/// What the page of a shard says of this moment, in parts that are kept current.
struct ShardParts {
    private let shard: Figures.Shard
    private let storage: CloseUp.Storage?
    private let now: Timestamp

    init(_ shard: Figures.Shard, _ closeUp: CloseUp, at now: Timestamp) {
        self.shard = shard
        storage = closeUp.storage[shard.id]
        self.now = now
    }

    enum Part: String, CaseIterable {
        case head, tiles, does, storage
    }

    func id(_ part: Part) -> String { "shard-\(shard.id)-page-\(part.rawValue)" }

    var regions: [LiveTopic.Region] { Part.allCases.map { LiveTopic.Region(id($0), content($0)) } }

    func content(_ part: Part) -> HTML {
        switch part {
        case .head: head
        case .tiles: tiles
        case .does: does
        case .storage: stored
        }
    }

    private var head: HTML {
        guard let trouble = shard.trouble else { return .empty }
        let kind: HTML = shard.state == .failed || shard.state == .behind ? "bad" : "warn"
        return """
            <p class="finding \(kind)"><span class="dot" aria-hidden="true"></span><b>\(title).</b> \
            \(Name.visible(String(trouble.prefix(1000))))</p>
            """
    }

    private var title: HTML {
        switch shard.state {
        case .serves: "It serves"
        case .opening: "It is being opened"
        case .failed: "It does not serve, and is tried again"
        case .behind: "It is only read"
        case .closed: "It is closed"
        case .moved: "It has moved"
        }
    }

    private var tiles: HTML {
        func tile(_ title: HTML, _ value: String, _ hint: String) -> HTML {
            "<div class=\"tile\"><h2>\(title)</h2><p class=\"value\">\(value)</p><p class=\"hint\">\(hint)</p></div>"
        }
        let (places, doing) = (shard.places, shard.activity)
        let waiting = doing.own + doing.renewals + doing.ordinary
        let flush = shard.flushMilliseconds > 0 ? Quantity.duration(milliseconds: Double(shard.flushMilliseconds)) : "none"
        let toDo = "\(Quantity.count(places.ready)) ready, \(Quantity.count(places.waiting)) at limits"
        let oldest = Quantity.duration(milliseconds: Double(shard.oldestRequestMilliseconds))
        let all: [HTML] = [
            """
            <div class="tile"><h2>State</h2><p class="value"><span class="small">\(badge)</span></p>\
            <p class="hint">\(opened)</p></div>
            """,
            tile("To do", Quantity.count(places.ready + places.waiting), toDo),
            tile("Running", Quantity.count(places.running), "\(Quantity.count(places.scheduled)) for later"),
            tile("Finished", Quantity.count(shard.finished), "\(Quantity.count(shard.failed)) of them failed"),
            tile("Oldest request", oldest, "\(Quantity.of(waiting, "waits", "wait")) in the mailbox"),
            tile("Flush", flush, Quantity.of(doing.answersOwed, "answer waits for it", "answers wait for it")),
            tile("Size", storage.map { Quantity.bytes($0.bytes) } ?? "–", "in sorted files"),
        ]
        // Of one that does not serve nothing is known but that.
        return "<section class=\"tiles\" aria-label=\"Now\">\(shard.state == .serves ? all : [all[0]])</section>"
    }

    private var badge: HTML {
        var plain = shard
        // The reason stands above.
        plain.trouble = nil
        return plain.stateBadge
    }

    private var opened: HTML {
        shard.createdAt.milliseconds > 0 ? "made \(When(shard.createdAt, now: now).html)" : .empty
    }

    private var does: HTML {
        guard shard.state == .serves else { return "<p class=\"hint\">Nothing, until it serves.</p>" }
        let doing = shard.activity
        func length(_ milliseconds: Int64) -> String { Quantity.duration(milliseconds: Double(milliseconds)) }
        let loop = doing.turnMilliseconds.map { "in a turn for " + length($0) } ?? "waits for work"
        let flush = shard.flushMilliseconds > 0 ? "goes on for " + length(shard.flushMilliseconds) : "none under way"
        let alarm = doing.alarmMilliseconds.map { "in " + length($0) } ?? "when something comes"
        let wrong = shard.wrongSlots == 0 ? "" : ", \(Quantity.of(shard.wrongSlots, "slot")) held wrongly"
        let facts: [(HTML, HTML)] = [
            ("Loop", "\(loop)"),
            ("Heartbeats and outcomes", "\(Quantity.of(doing.renewals, "waits", "wait"))"),
            ("Other calls", "\(Quantity.of(doing.ordinary, "waits", "wait"))"),
            ("Of its own", "\(Quantity.of(doing.own, "waits", "wait"))"),
            ("In hand", "\(Quantity.of(doing.inHand, "call")), \(Quantity.bytes(doing.inHandBytes))"),
            ("Flush", "\(flush)"),
            ("Answers", "\(Quantity.of(doing.answersOwed, "waits", "wait")) for the log"),
            ("Looks for what is due", "\(alarm)"),
            ("In memory", "\(Quantity.of(doing.queues, "queue")), \(Quantity.of(doing.windowedTasks, "pending task"))"),
            ("Limits", "\(Quantity.count(doing.limits)) in memory, \(Quantity.of(doing.lines, "line")) of jobs that wait"),
            ("Pauses", "\(Quantity.count(doing.pauses))"), ("Bulk actions", "\(Quantity.count(doing.bulkActions))"),
            ("Limits recounted", "\(Quantity.of(shard.audits, "time"))\(wrong)"),
            ("Mended invariants", "\(Quantity.count(shard.mended))"),
        ]
        return Facts(facts).html
    }

    private var stored: HTML {
        var facts: [(HTML, HTML)] = []
        if let storage {
            facts += [
                ("In sorted files", "\(Quantity.bytes(storage.bytes))"),
                ("Not merged yet", "\(Quantity.of(storage.files, "file")), \(Quantity.bytes(storage.flushedBytes))"),
                ("Merged", "\(Quantity.of(storage.sortedRuns, "run"))"),
                ("To merge into the largest run", "\(Quantity.bytes(storage.unmergedBytes))"),
                ("Deleted, still in files", "about \(Quantity.bytes(storage.deletedBytes))"),
                ("Views that keep files", views(storage)),
            ]
            if shard.log == nil { facts.append(("Log files to replay", "\(Quantity.count(storage.logFiles))")) }
        }
        if let log = shard.log {
            facts += [
                ("Rows to flush", "\(Quantity.bytes(log.overlayBytes))"), ("Log on disk", "\(Quantity.bytes(log.bytes))"),
                ("Checkpoints", "\(Quantity.count(log.checkpoints)) since it was opened"),
                ("Last checkpoint", log.checkpointedAt.map { When($0, now: now).html } ?? "none yet"),
            ]
        }
        guard !facts.isEmpty else {
            let text: HTML = shard.state == .serves ? "It is being looked at." : "It is not known while it does not serve."
            return .hint(text)
        }
        let hint: HTML = .when(storage == nil, .hint("Its sorted files are being looked at."))
        return "\(Facts(facts).html)\(hint)"
    }

    private func views(_ storage: CloseUp.Storage) -> HTML {
        let oldest: HTML = storage.oldestCheckpoint.map { ", the oldest made \(When($0, now: now).html)" } ?? .empty
        return "\(Quantity.count(storage.checkpoints))\(oldest)"
    }
}
