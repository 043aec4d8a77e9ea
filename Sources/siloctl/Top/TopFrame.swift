import SiloAPI
import SiloCore

/// What `top` shows: of one moment, for a screen of some size.
struct TopFrame {
    /// What is known of the servers at a moment.
    struct Moment: Sendable {
        let sample: TopSample
        let pace: TopPace
        let minute: TopPace
        /// Milliseconds since the Unix epoch.
        let now: Int64
    }
    let moment: Moment
    let choices: TopChoices
    let address: String
    /// Why there was no answer lately, and for how long, in milliseconds; nil: there was one.
    let failure: (reason: String, milliseconds: Int64)?
    let times: Times

    /// Lines above the table, its titles included, and below it.
    static let linesAround = 9
    private static let indent = 1

    /// Rows that a screen has room for.
    static func page(_ size: Screen.Size) -> Int { max(1, size.lines - linesAround) }

    var table: TopTable {
        TopTables(sample: moment.sample, pace: moment.pace, minute: moment.minute, now: moment.now)
            .table(choices.view, filter: choices.filter)
            .sorted(by: choices.sorting.column, isReversed: choices.sorting.isReversed)
    }

    /// As many lines as the screen has.
    func lines(_ size: Screen.Size) -> [Line] {
        let page = Self.page(size)
        let table = table
        var lines = head(size.columns) + [tabs(table)]
        lines += choices.showsHelp ? Self.help : rows(table, choices.offset..<choices.offset + page, size.columns)
        lines = Array(lines.prefix(size.lines - 1))
        lines += Array(repeating: Line(""), count: max(0, size.lines - 1 - lines.count))
        return (lines + [foot]).map { $0.cut(to: size.columns) }
    }

    /// Everything, for a reader that scrolls by itself.
    func whole(columns: Int) -> [Line] {
        let table = table
        var lines = head(columns)
        // The first stands in the head.
        lines += TopHealth(moment.sample).findings.dropFirst()
        return lines + [""] + rows(table, 0..<table.rows.count, columns)
    }

    private func rows(_ table: TopTable, _ range: Range<Int>, _ columns: Int) -> [Line] {
        let mark = choices.sorting.isReversed ? "▲" : "▼"
        let lines = table.lines(range, columns: columns, sorted: choices.sorting.column, mark: mark)
        guard table.rows.isEmpty else { return lines }
        return lines + [choices.filter.isEmpty ? Line(table.empty, .quiet) : Line("Nothing is called so.", .quiet)]
    }

    // MARK: Above

    private func head(_ width: Int) -> [Line] {
        [title(width), health, "", rates, waits, lengths]
    }

    private func title(_ width: Int) -> Line {
        let nodes = moment.sample.nodes
        let started = nodes.map(\.startedAtMs).max() ?? moment.now
        let servers = Words.count(nodes.count, "server")
        let left: Line = "\("siloctl top", .heading)  \(address)  \(servers), up \(Words.age(started, at: moment.now))"
        let clock = times.moment(moment.now).split(separator: " ").dropFirst().first.map(String.init) ?? ""
        let right: Line = choices.isPaused ? "\("PAUSED", .busy) \(clock)" : Line(clock)
        return left.cut(to: max(0, width - right.width - 2)).padded(to: width - right.width) + right
    }

    private var health: Line {
        if let failure {
            return Line("No answer for \(Words.length(failure.milliseconds)), asking again: \(failure.reason)", .bad)
        }
        let findings = TopHealth(moment.sample).findings
        guard let worst = findings.first else { return "\("All is well.", .good) \(summary)" }
        return findings.count == 1 ? worst : "\(worst) \("(+\(findings.count - 1) more)", .quiet)"
    }

    private var summary: String {
        let shards = Words.count(moment.sample.nodes.reduce(0) { $0 + $1.shards.count }, "shard")
        let free = moment.sample.nodes.compactMap(\.freeBytes).min().map { ", \(Words.size($0)) of disk free" } ?? ""
        let durable = Set(moment.sample.nodes.map(\.durability)).sorted().joined(separator: ", ")
        guard durable != "memory" else { return "\(shards)\(free), jobs in memory alone" }
        return "\(shards)\(free)" + (durable.isEmpty ? "" : ", durable by \(durable)")
    }

    private var rates: Line {
        guard moment.sample.nodes.contains(where: \.isMeasured) else { return "No rates: the servers' metrics are off." }
        func rate(_ name: String, _ path: KeyPath<TopPace.Rates, Double>, _ isBad: (Double) -> Bool = { _ in false }) -> Line {
            let value = moment.pace.rates?[keyPath: path]
            let text = value.map { Words.short($0) + "/s" } ?? "-"
            return "\(name, .heading) \(Line(text, isBad(value ?? 0) ? .bad : nil).padded(to: 9))"
        }
        let all = rate("Enqueued", \.enqueued) + rate("Started", \.started) + rate("Finished", \.finished)
        return all + rate("Failed", \.failed) { $0 > 0 }
    }

    private var waits: Line {
        let jobs = moment.sample.nodes.compactMap(\.jobs)
        func sum(_ path: KeyPath<SiloV1.OverviewJobs, Int64>) -> Int64 { jobs.reduce(0) { $0 + $1[keyPath: path] } }
        let (ready, waiting) = (sum(\.ready), sum(\.waiting))
        let oldest = moment.sample.nodes.compactMap(\.oldestReadyMs).max().map { Words.length($0) } ?? "-"
        return """
            \("Backlog", .heading) \(Words.grouped(ready + waiting)) (\(Words.grouped(waiting)) at limits)  \
            \("Oldest", .heading) \(oldest)  \("Running", .heading) \(Words.grouped(sum(\.running)))  \
            \("Scheduled", .heading) \(Words.grouped(sum(\.scheduled)))
            """
    }

    /// Over the last minute.
    private var lengths: Line {
        func quantiles(_ latencies: Latencies) -> Line {
            let shares = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)]
            return shares.reduce("") { line, share in
                let value = latencies.quantile(share.1, moment.minute.bounds).map { Words.length(Int64($0.rounded())) } ?? "-"
                return "\(line) \(share.0, .quiet) \(value)"
            }
        }
        let (ready, run) = (quantiles(moment.minute.readyToStart), quantiles(moment.minute.runTime))
        return "\("Wait", .heading)\(ready)   \("Run", .heading)\(run)"
    }

    // MARK: The table

    private func tabs(_ table: TopTable) -> Line {
        let tabs = TopView.allCases.map { view -> Line in
            view == choices.view ? Line("[\(view.title)]", .heading) : Line(" \(view.title) ", .quiet)
        }
        let all: Line = tabs.reduce("") { $0 + $1 }
        let total = choices.view == .tenants ? moment.sample.tenantsMatching : UInt64(table.rows.count)
        let filter: Line = choices.filter.isEmpty ? "" : "   filter: \(choices.filter)"
        return "\(all)   \(Words.grouped(total))\(filter)"
    }

    private var foot: Line {
        if let typed = choices.typed { return "Filter: \(typed)_   \("Enter keeps it, Esc clears it", .quiet)" }
        return Line("q quit  ? help  / filter  <> sort  r reverse  space pause  Tab next table", .quiet)
    }

    private static let help: [Line] = [
        "", "g t s w, Tab   task groups, tenants, shards, workers",
        "< >, arrows    sort by another column; r turns the order round",
        "/              show those whose names contain a text; Esc shows all again",
        "up, down       scroll, as Page Up, Page Down, Home and End do",
        "space          hold what is shown; again: go on",
        "q, Ctrl-C      quit", "",
        "Rates are of the last 5 s, waits and run times of the last minute or since",
        "the start of top. Backlog: ready, or at a limit. Empty in: at the pace of",
        "the last minute. A key returns to the table.",
    ]
}
