import SiloCore

/// What a list of shards says of one, each a part of the page that is kept current by itself.
struct ShardFigures {
    let shard: Figures.Shard
    /// Nil: it is being looked at.
    private let storage: CloseUp.Storage?
    private let now: Timestamp

    init(_ shard: Figures.Shard, _ closeUp: CloseUp, now: Timestamp) {
        self.shard = shard
        storage = closeUp.storage[shard.id]
        self.now = now
    }

    enum Part: String, CaseIterable {
        case state, ready, limits, running, scheduled, finished, size, files, debt, log, checkpoint, wait
    }

    func html(_ part: Part) -> HTML { "<span id=\"\(id(part))\">\(content(part))</span>" }
    private func id(_ part: Part) -> String { "shard-\(shard.id)-\(part.rawValue)" }

    var regions: [LiveTopic.Region] { Part.allCases.map { LiveTopic.Region(id($0), content($0)) } }

    /// What is not known is not shown as nothing.
    private func count(_ number: Int64) -> HTML { shard.state == .serves ? "\(Quantity.count(number))" : "–" }

    private var files: HTML {
        guard let storage else { return "–" }
        return "\(Quantity.count(storage.files)) + \(Quantity.of(storage.sortedRuns, "run"))"
    }

    private func content(_ part: Part) -> HTML {
        switch part {
        case .state: shard.stateBadge
        case .ready: count(shard.places.ready)
        case .limits: count(shard.places.waiting)
        case .running: count(shard.places.running)
        case .scheduled: count(shard.places.scheduled)
        case .finished: count(shard.finished)
        case .size: "\(storage.map { Quantity.bytes($0.bytes) } ?? "–")"
        case .files: files
        case .debt: "\(storage.map { Quantity.bytes($0.unmergedBytes) } ?? "–")"
        case .log: "\(shard.log.map { Quantity.bytes($0.overlayBytes) } ?? "–")"
        case .checkpoint: shard.log?.checkpointedAt.map { When($0, now: now).html } ?? "–"
        case .wait: "\(shard.state == .serves ? Quantity.duration(milliseconds: Double(shard.oldestRequestMilliseconds)) : "–")"
        }
    }
}

extension Figures.Shard {
    var stateBadge: HTML {
        let (kind, text): (HTML, HTML) =
            switch state {
            case .serves: ("good", "serves")
            case .opening: ("warn", "opens")
            case .failed: ("bad", "failed")
            case .behind: ("bad", "is only read")
            case .closed: ("warn", "closed")
            case .moved: ("warn", "moved")
            }
        let why: HTML = trouble.map { "<div class=\"below\">\(Name.visible(String($0.prefix(300))))</div>" } ?? .empty
        return "<span class=\"badge \(kind)\">\(text)</span>\(why)"
    }
}

/// The name of a shard, and the way to its page for those who may see it.
enum ShardLink {
    static func html(_ id: String, _ visit: Visit) -> HTML {
        let name: HTML = "<code>\(Name.visible(String(id.prefix(8))))</code>"
        return visit.may(ShardPage.page.needs) ? .link(.shard(id), name) : name
    }
}
