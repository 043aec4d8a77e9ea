import SiloAPI
import Synchronization

/// Puts many waiting jobs into a server.
final class Fill: Sendable {
    private static let batch = 1000
    private static let loops = 2

    private let count: Int
    private let begun = Instant.now
    private let next = Atomic(0)
    private let done = Atomic(0)

    private init(_ count: Int) { self.count = count }

    /// Enqueues `count` jobs, the tenant of each by its index, in calls of 1000.
    static func run(
        _ queue: ServedQueue, _ count: Int, on server: ServerProcess, tenant: @escaping @Sendable (Int) -> String?
    ) async throws {
        let fill = Fill(count)
        try await withThrowingTaskGroup { group in
            for _ in 0..<loops {
                group.addTask {
                    while let jobs = fill.take() {
                        try await queue.enqueue(jobs.map(tenant))
                        fill.stored(jobs.count, on: server)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// The jobs of the next call; nil when all are given out.
    private func take() -> Range<Int>? {
        let first = next.wrappingAdd(Self.batch, ordering: .relaxed).oldValue
        return first < count ? first..<min(first + Self.batch, count) : nil
    }

    /// Counts, and says so ten times in all.
    private func stored(_ jobs: Int, on server: ServerProcess) {
        let total = done.wrappingAdd(jobs, ordering: .relaxed).newValue
        guard count > 10_000, total % (count / 10) < jobs else { return }
        let rate = Double(total) / Instant.now.seconds(since: begun)
        say("  \(total) waiting, \(Text.number(rate, 0))/s, server \(Text.number(server.residentMiB.now, 0)) MiB")
    }

    /// Enqueues `count` jobs into a server's only shard, each made from its number.
    static func store(
        _ count: Int, over connection: Connection, _ make: @escaping @Sendable (Int) -> SiloV1.EnqueueRequest
    ) async throws {
        let shard = try await connection.onlyShard()
        try await withThrowingTaskGroup { group in
            for loop in 0..<loops {
                group.addTask {
                    for first in stride(from: loop * batch, to: count, by: loops * batch) {
                        var request = SiloV1.EnqueueBatchRequest()
                        request.shard = shard
                        request.jobs = (first..<first + batch).map(make)
                        let results = try await connection.call(SiloV1.Silo.enqueueBatch, request).results
                        let refused = results.first { $0.code != 0 }
                        if let refused { throw Failure("a job was refused: \(refused.error)") }
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    /// Waits until the server has done what it does after a fill: until it uses under a tenth of a core for 3 s, 60 s at
    /// most.
    /// - Returns: the seconds that took.
    static func settle(_ server: ServerProcess) async throws -> Double {
        let begun = Instant.now
        var quiet = 0
        while quiet < 3, Instant.now.seconds(since: begun) < 60 {
            let before = server.processorSeconds
            try await Task.sleep(for: .seconds(1))
            quiet = server.processorSeconds - before < 0.1 ? quiet + 1 : 0
        }
        return Instant.now.seconds(since: begun)
    }
}

extension Connection {
    /// The shard of a server that has one.
    func onlyShard() async throws -> String {
        let info = try await call(SiloV1.Silo.getClusterInfo, .init())
        guard let shard = info.shardOwners.first?.shardId else { throw Failure("the server has no shard") }
        return shard
    }
}
