import Foundation
import SiloCore
import SiloStore

/// What the log on a local disk costs: one write and one sync of it against the bare system calls, and a shard over it against
/// one over SlateDB with a log of its own, in turns.
struct LogCost {
    let place: Suite.Place

    func measure(_ results: inout Results) async throws {
        try await measureAppends(&results)
        try await measureEngine(&results)
        try await CheckpointShare(place: place).measure(&results)
    }

    // MARK: One write

    private func measureAppends(_ results: inout Results) async throws {
        let count = place.isQuick ? 500 : 4000
        say("\nthe log: \(count) appends of one job's rows, each synced; a bare append and fdatasync in between")
        let file = try BareFile(place.folder.path + "/bare-file", blocks: count)
        let store = try await place.folder.store("log-append")
        var bare = Samples()
        var log = Samples()
        for index in 0..<count {
            var begun = Instant.now
            try file.append()
            bare.add(Instant.now.milliseconds(since: begun))
            let rows = Self.rows(of: index)
            begun = Instant.now
            try await store.write(rows)
            try await store.flush()
            log.add(Instant.now.milliseconds(since: begun))
        }
        try await store.close()
        let (ours, theirs) = (log.summary, bare.summary)
        for (name, times) in [("log ", ours), ("bare", theirs)] {
            say(
                "  \(name) ms p50 \(Text.number(times.p50, 3))  p95 \(Text.number(times.p95, 3))  "
                    + "p99 \(Text.number(times.p99, 3))  max \(Text.number(times.max, 1))")
        }
        results.set(
            .log_flush_p50_ms, ours.p50,
            "p99 \(Text.number(ours.p99, 3)); bare \(Text.number(theirs.p50, 3)) and \(Text.number(theirs.p99, 3))")
        results.set(.log_flush_share, theirs.p50 / ours.p50, "a bare append and fdatasync against the log's")
    }

    /// Of the size that an enqueue writes.
    private static func rows(of index: Int) -> [Write] {
        let key = Bytes("some-tenant/some-group/job-\(100_000 + index)".utf8)
        return [1, 2, 3].map { (family: UInt8) in Write(key: [family] + key, value: Bytes(repeating: family, count: 150)) }
    }

    // MARK: A shard

    private func measureEngine(_ results: inout Results) async throws {
        let jobs = place.isQuick ? 20_000 : 100_000
        let rounds = place.isQuick ? 2 : 3
        say("\na shard in this process over the log, and over SlateDB's: \(jobs) life cycles a round")
        var (log, slate): ([Double], [Double]) = ([], [])
        var (logCost, slateCost): ([Double], [Double]) = ([], [])
        for round in 1...rounds {
            let ours = try await run(jobs, try await place.folder.store("log-engine-\(round)"))
            let theirs = try await run(jobs, try await place.folder.slateStore("slate-engine-\(round)"))
            say(
                "  round \(round): log \(Text.number(ours.rate, 0))/s, \(Text.number(ours.microseconds, 0)) us of processor time "
                    + "a job; SlateDB \(Text.number(theirs.rate, 0))/s, \(Text.number(theirs.microseconds, 0)) us")
            log.append(ours.rate)
            slate.append(theirs.rate)
            logCost.append(ours.microseconds)
            slateCost.append(theirs.microseconds)
        }
        results.set(
            .log_engine_ratio, log.median / slate.median,
            "\(Text.number(log.median, 0))/s against \(Text.number(slate.median, 0))/s; "
                + "\(Text.number(logCost.median, 0)) against \(Text.number(slateCost.median, 0)) us of processor time a job"
        )
    }

    private func run(_ jobs: Int, _ store: any KeyValueStore) async throws -> (rate: Double, microseconds: Double) {
        let before = ownProcessorSeconds
        let seconds = try await EngineShare.seconds(of: jobs, over: store)
        return (Double(jobs) / seconds, (ownProcessorSeconds - before) / Double(jobs) * 1_000_000)
    }
}

/// A file that was written once, block by block appended to again, each synced.
private final class BareFile {
    private let file: Int32
    private let block = [UInt8](repeating: 7, count: 4096)
    private var offset = 0

    init(_ path: String, blocks: Int) throws {
        file = open(path, O_CREAT | O_RDWR | O_TRUNC, 0o600)
        guard file >= 0 else { throw Failure("cannot make \(path)") }
        for _ in 0..<blocks { try append() }
        offset = 0
    }

    deinit { close(file) }

    func append() throws {
        guard pwrite(file, block, block.count, off_t(offset)) == block.count, fdatasync(file) == 0 else {
            throw Failure("cannot append: \(String(cString: strerror(errno)))")
        }
        offset += block.count
    }
}
