/// Whether all is well: a line for each thing that is not, the worst first.
struct OverviewHealth {
    private struct Finding {
        let isBad: Bool
        let text: HTML
    }
    private let now: Figures

    init(_ now: Figures) { self.now = now }

    var html: HTML {
        let findings = findings.sorted { $0.isBad && !$1.isBad }
        guard !findings.isEmpty else { return Self.line("good", "All is well.", summary) }
        return HTML(joining: findings.map { finding in
            finding.isBad ? Self.line("bad", "Trouble:", finding.text) : Self.line("warn", "Look at this:", finding.text)
        })
    }

    private static func line(_ kind: HTML, _ word: HTML, _ text: HTML) -> HTML {
        "<p class=\"finding \(kind)\"><span class=\"dot\" aria-hidden=\"true\"></span><b>\(word)</b> \(text)</p>"
    }

    private var summary: HTML {
        let room: HTML = now.node.freeBytes.map { "\(Quantity.bytes($0)) of disk free. " } ?? .empty
        let shards = Quantity.of(now.shards.count, "shard serves", "shards serve")
        let audits = now.shards.reduce(0) { $0 + $1.audits }
        let audited: HTML = .when(audits > 0, "Limits recounted \(Quantity.of(audits, "time")), nothing was wrong. ")
        let durability: HTML =
            now.node.durability == "memory"
            ? "Jobs are in memory alone and go with the server" : "Answers are durable by <code>\(now.node.durability)</code>"
        return "\(shards). \(durability). \(room)\(audited)"
    }

    private var findings: [Finding] { shards + storage + audit + groups }

    private var shards: [Finding] {
        let closed = now.shards.filter { $0.trouble != nil }
        let slow = now.shards.filter { max($0.flushMilliseconds, $0.oldestRequestMilliseconds) > Self.slowMilliseconds }
        var findings = closed.prefix(Self.namedMax).map { shard in
            bad("shard \(Self.name(shard)) does not serve: \(shard.trouble ?? "")")
        }
        let rest = closed.count - Self.namedMax
        if rest > 0 { findings.append(bad("\(Quantity.of(rest, "more shard")) \(rest == 1 ? "does" : "do") not serve")) }
        return findings + slow.prefix(Self.namedMax).map { shard in
            let length = Double(max(shard.flushMilliseconds, shard.oldestRequestMilliseconds))
            return odd("shard \(Self.name(shard)) is slow: a request waits \(Quantity.duration(milliseconds: length))")
        }
    }

    private static let slowMilliseconds: Int64 = 2000
    /// Of each kind of trouble.
    private static let namedMax = 3

    private static func name(_ shard: Figures.Shard) -> HTML {
        .link(.shard(shard.id), "<code>\(String(shard.id.prefix(8)))</code>")
    }
    private func bad(_ text: HTML) -> Finding { Finding(isBad: true, text: text) }
    private func odd(_ text: HTML) -> Finding { Finding(isBad: false, text: text) }

    private var storage: [Finding] { now.node.refusesJobs.map { [bad("new jobs are refused: \($0)")] } ?? [] }

    private var audit: [Finding] {
        let wrong = now.shards.reduce(0) { $0 + $1.wrongSlots }
        let mended = now.shards.reduce(0) { $0 + $1.mended }
        let lost = now.node.auditLinesLost ?? 0
        var findings: [Finding] = []
        if wrong > 0 {
            let count = Quantity.of(wrong, "slot")
            findings.append(bad("the last audit found \(count) of limits held wrongly: a fault of the server"))
        }
        if mended > 0 {
            let count = Quantity.of(mended, "broken invariant was mended", "broken invariants were mended")
            findings.append(bad("\(count): a fault of the server or of its disk"))
        }
        if lost > 0 {
            let count = Quantity.of(lost, "line of the audit log was lost", "lines of the audit log were lost")
            findings.append(bad("\(count): its disk may be full"))
        }
        return findings
    }

    /// Work that nobody comes for.
    private var groups: [Finding] {
        let lonely = now.groups.filter { ($0.oldestReadyMilliseconds ?? 0) > 60_000 && $0.jobs.running == 0 }
        return lonely.sorted { $0.jobs.ready > $1.jobs.ready }.prefix(Self.namedMax).map { group in
            let age = Quantity.duration(milliseconds: Double(group.oldestReadyMilliseconds ?? 0))
            let count = Quantity.of(group.jobs.ready, "job")
            let name: HTML = .link(.group(group.name), Name(group.name).html)
            let who: HTML = group.isRest ? "all other task groups" : "task group \(name)"
            return odd("nobody works on \(who): \(count) ready, the oldest for \(age)")
        }
    }
}
