import Protobuf
import SiloCore
import SiloEngine
import Synchronization

/// The jobs of one import on their way through the shards that they go to.
///
/// A shard takes its jobs in parts, one after another, so that its other work goes on between them. A job is never parted: it is
/// one step, as heavy as its attempts.
final class ImportRun: Sendable {
    /// A job, and its place among all of them.
    private typealias Entry = (place: Int, job: Import)
    /// The jobs of one shard, in order.
    private typealias Queue = (shard: Shard, entries: [Entry])

    private struct State {
        var results: [Result<JobStatusName, SiloError>]
        var queuesLeft: Int
        var isAbandoned = false
    }
    private let state: Mutex<State>
    private let queues: [Queue]
    private let context: RequestContext
    private let completion: @Sendable ([Result<JobStatusName, SiloError>]) -> Void

    /// - Parameter completion: runs once, with a result for each job.
    init(
        _ jobs: [(shard: Shard, job: Import)], _ context: RequestContext,
        _ completion: @escaping @Sendable ([Result<JobStatusName, SiloError>]) -> Void
    ) {
        var queues: [Queue] = []
        var places: [ObjectIdentifier: Int] = [:]
        for (place, (shard, job)) in jobs.enumerated() {
            let queue = places[ObjectIdentifier(shard), default: queues.count]
            if queue == queues.count {
                places[ObjectIdentifier(shard)] = queue
                queues.append((shard, []))
            }
            queues[queue].entries.append((place, job))
        }
        self.queues = queues
        self.context = context
        self.completion = completion
        let unanswered = SiloError.unavailable("nobody waits for the answer")
        state = Mutex(State(results: Array(repeating: .failure(unanswered), count: jobs.count), queuesLeft: queues.count))
    }

    func begin() {
        guard !queues.isEmpty else { return completion([]) }
        for queue in queues { submit(queue.entries[...], to: queue.shard) }
    }

    /// Nobody waits for the answer: what no shard has been given yet is not imported.
    func abandon() { state.withLock { $0.isAbandoned = true } }

    // MARK: Parts

    /// Rows that one part writes, and bytes that it carries, unless a single job has more.
    private static let partRowsMax = 16_384
    private static let partBytesMax = 8 << 20

    private func submit(_ entries: ArraySlice<Entry>, to shard: Shard) {
        var (rows, bytes) = (0, 0)
        let part = entries.prefix { entry in
            rows += entry.job.rows
            bytes += entry.job.contentBytes
            return rows <= Self.partRowsMax && bytes <= Self.partBytesMax
        }
        let end = max(part.endIndex, entries.startIndex + 1)
        let (now, rest) = (entries[..<end], entries[end...])
        shard.submit(bounded: now.map(\.job), for: context) { result in
            switch result {
            case .success(let results):
                self.take(zip(now, results).map { ($0.place, $1) })
                guard !rest.isEmpty, !self.state.withLock({ $0.isAbandoned }) else { return self.finishQueue() }
                self.submit(rest, to: shard)
            case .failure(let error):
                // A shard that takes no more now would refuse what is left as well.
                self.take(entries.map { ($0.place, .failure(error)) })
                self.finishQueue()
            }
        }
    }

    private func take(_ results: [(place: Int, result: Result<JobStatusName, SiloError>)]) {
        state.withLock { state in
            for (place, result) in results { state.results[place] = result }
        }
    }

    private func finishQueue() {
        let results: [Result<JobStatusName, SiloError>]? = state.withLock { state in
            state.queuesLeft -= 1
            return state.queuesLeft == 0 ? state.results : nil
        }
        if let results { completion(results) }
    }
}

extension Import {
    /// Rows that it writes, about.
    fileprivate var rows: Int { 4 + metadata.count + attempts.count }
}
