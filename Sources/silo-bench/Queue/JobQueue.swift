import SiloCore

/// What is put under load: a server, or a shard in this process.
///
/// Completions run once, on any thread, and must not block. A failure may come before the call returns.
protocol JobQueue: Sendable {
    /// Stores one job for each of `tenants`, in one call when there are several. `sent` is stamped into the payloads.
    func enqueue(_ tenants: [String?], sent: Instant, completion: @escaping @Sendable (Result<Void, Failure>) -> Void)

    /// Leases up to `countMax` tasks, waiting up to `waitMilliseconds` for the first. The answer may be empty.
    func lease(
        _ countMax: Int, waitMilliseconds: Int, completion: @escaping @Sendable (Result<[LeasedJob], Failure>) -> Void
    )

    /// Reports success for each of `jobs`, in one call when there are several. They are of one shard.
    func report(_ jobs: [LeasedJob], completion: @escaping @Sendable (Result<Void, Failure>) -> Void)
}

/// A job in the hands of a worker.
struct LeasedJob: Sendable {
    var taskID: TaskID
    var tenant: String?
    var shard: String
    /// When its enqueue call was sent, by the payload.
    var sent: Instant?
}

/// What went wrong, in words for the terminal.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ text: String) { description = text }
}

extension JobQueue {
    func enqueue(_ tenants: [String?], sent: Instant = .now) async throws(Failure) {
        let result = await withCheckedContinuation { continuation in
            enqueue(tenants, sent: sent) { continuation.resume(returning: $0) }
        }
        try result.get()
    }

    func lease(_ countMax: Int, waitMilliseconds: Int = 0) async throws(Failure) -> [LeasedJob] {
        let result = await withCheckedContinuation { continuation in
            lease(countMax, waitMilliseconds: waitMilliseconds) { continuation.resume(returning: $0) }
        }
        return try result.get()
    }

    func report(_ jobs: [LeasedJob]) async throws(Failure) {
        let result = await withCheckedContinuation { continuation in
            report(jobs) { continuation.resume(returning: $0) }
        }
        try result.get()
    }
}
