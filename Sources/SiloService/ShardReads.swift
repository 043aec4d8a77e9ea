import SiloCore
import SiloStore
import Synchronization

/// What is read of shards beside other shards, and since when: whoever asks several goes on without one that keeps it waiting.
/// That one is not asked again before it has answered, so that what waits does not pile up.
final class ShardReads: Sendable {
    private struct State {
        var begun: [ShardID: [Int: Timestamp]] = [:]
        var next = 0
    }
    private let environment: Environment
    private let state = Mutex(State())
    /// How long a shard may keep others waiting.
    private static let patienceMilliseconds: Int64 = 5000

    init(_ environment: Environment) { self.environment = environment }

    /// Reads a shard. All that is asked of it beside others is read in one.
    func reading<Answer, Failure: Error>(
        _ shard: ShardID, _ body: () async throws(Failure) -> Answer
    ) async throws(Failure) -> Answer {
        let now = environment.clock.steady
        let number = state.withLock { state in
            state.next += 1
            state.begun[shard, default: [:]][state.next] = now
            return state.next
        }
        defer {
            state.withLock { state in
                state.begun[shard]?[number] = nil
                if state.begun[shard]?.isEmpty == true { state.begun[shard] = nil }
            }
        }
        return try await body()
    }

    /// Half of the time that the caller waits, so that the others have the rest, and no longer than that.
    func patience(_ context: RequestContext) -> Int64 {
        let left = context.deadline.map { max(0, $0 - environment.clock.steady) } ?? .max
        return min(Self.patienceMilliseconds, left / 2)
    }

    /// Waits for what reads some shards, but no longer than one of them keeps it waiting.
    /// - Returns: nil when one does.
    func outcome<Answer: Sendable>(
        of shards: [ShardID], patience: Int64, _ body: @escaping @Sendable () async -> Answer
    ) async -> Answer? {
        let (answers, answering) = AsyncStream<Answer>.makeStream()
        // Ends when the shards have answered, even if nobody waits any more.
        environment.start {
            answering.yield(await body())
            answering.finish()
        }
        // Ends with the patience, or when they have answered before.
        let watch = environment.start { [self] in
            while overdue(among: shards, patience: patience).isEmpty {
                guard (try? await environment.clock.sleep(milliseconds: timeLeft(shards, patience))) != nil else { return }
            }
            answering.finish()
        }
        defer { watch.cancel() }
        return await answers.first { _ in true }
    }

    /// Those that have been read for so long.
    func overdue(among shards: [ShardID], patience: Int64 = ShardReads.patienceMilliseconds) -> Set<ShardID> {
        let now = environment.clock.steady
        return Set(shards.filter { shard in oldest(shard).map { now - $0 >= patience } ?? false })
    }

    private func timeLeft(_ shards: [ShardID], _ patience: Int64) -> Int64 {
        let now = environment.clock.steady
        return max(1, (shards.compactMap(oldest).min() ?? now) + patience - now)
    }

    private func oldest(_ shard: ShardID) -> Timestamp? { state.withLock { $0.begun[shard]?.values.min() } }

    static let unanswered = SiloError.shardNotReady("it does not answer")
}

/// A view of a shard, whose reads are known while they are under way, and by their failures.
struct WatchedReader: StoreReader {
    /// Shards of which a read failed.
    final class Failures: Sendable {
        private let shards = Mutex<Set<ShardID>>([])
        var all: Set<ShardID> { shards.withLock { $0 } }
        fileprivate func add(_ shard: ShardID) { shards.withLock { _ = $0.insert(shard) } }
    }
    let reader: any StoreReader
    let shard: ShardID
    let reads: ShardReads
    let failures: Failures

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        try await watched { () async throws(StoreError) in try await reader.get(key) }
    }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await watched { () async throws(StoreError) in try await reader.scan(from: start, to: end, limit: limit) }
    }

    func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
        try await watched { () async throws(StoreError) in
            try await reader.page(from: start, to: end, limit: limit, bytesMax: bytesMax)
        }
    }

    private func watched<Answer>(_ read: () async throws(StoreError) -> Answer) async throws(StoreError) -> Answer {
        do throws(StoreError) {
            return try await reads.reading(shard, read)
        } catch {
            failures.add(shard)
            throw error
        }
    }
}
