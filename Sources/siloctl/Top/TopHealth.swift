import SiloAPI
import SiloCore

/// Whether all is well: a line for each thing that is not, the worst first.
struct TopHealth {
    static let slowMilliseconds: Int64 = 2000
    private static let lonelyMilliseconds: Int64 = 60_000
    private let sample: TopSample

    init(_ sample: TopSample) { self.sample = sample }

    var findings: [Line] { bad.map { Line($0, .bad) } + odd.map { Line($0, .busy) } }

    private var shards: [SiloV1.OverviewShard] { sample.nodes.flatMap(\.shards) }

    private var bad: [String] {
        var found = sample.missing.map { "no answer from \($0.address): \($0.reason)" }
        found += shards.filter { !$0.trouble.isEmpty }.map { "shard \($0.shardId.prefix(8)) does not serve: \($0.trouble)" }
        found += sample.nodes.compactMap(\.refusesJobs).map { "new jobs are refused: \($0)" }
        let wrong = shards.reduce(0) { $0 + $1.wrongSlots }
        if wrong > 0 { found.append("the last audit found \(Words.count(wrong, "slot")) of limits held wrongly") }
        let mended = shards.reduce(0) { $0 + $1.mended }
        if mended > 0 { found.append("\(Words.count(mended, "broken invariant")) mended: a fault of the server or its disk") }
        return found
    }

    private var odd: [String] {
        let slow = shards.filter { $0.trouble.isEmpty && $0.slowness > Self.slowMilliseconds }.map { shard in
            "shard \(shard.shardId.prefix(8)) is slow: a request waits \(Words.length(shard.slowness))"
        }
        // Work that nobody comes for.
        let running = Set(sample.nodes.flatMap(\.groups).filter { ($0.jobs?.running ?? 0) > 0 }.map { ExactText($0.taskGroup) })
        let lonely = sample.nodes.flatMap(\.groups).filter { group in
            (group.oldestReadyMs ?? 0) > Self.lonelyMilliseconds && !running.contains(ExactText(group.taskGroup))
                && !sample.paused.contains(ExactText(group.taskGroup))
        }
        return slow + lonely.sorted { $0.backlog > $1.backlog }.map { group in
            "nobody works on \(group.taskGroup): \(Words.grouped(group.jobs?.ready ?? 0)) ready, the oldest for "
                + Words.length(group.oldestReadyMs ?? 0)
        }
    }
}

extension SiloV1.OverviewShard {
    /// What somebody waits for, in milliseconds.
    var slowness: Int64 { max(oldestRequestMs, flushMs) }
}
