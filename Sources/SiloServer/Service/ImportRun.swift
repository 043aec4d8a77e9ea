import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import Synchronization

/// One call of ImportJobs on its way through the shards that its jobs go to.
///
/// A shard takes its jobs in parts, one after another, so that its other work goes on between them. A job is never parted: it is
/// one step, as heavy as its attempts.
final class ImportRun: Sendable {
    /// A job, and its place in the request.
    typealias Entry = (index: Int, job: Import)
    /// The jobs of one shard, in the request's order.
    typealias Queue = (shard: Shard, entries: [Entry])

    private struct State {
        var results: [SiloV1.ImportJobResult]
        var refusals: [Status?]
        var queuesLeft: Int
        var isAbandoned = false
    }
    private let state: Mutex<State>
    private let completion: @Sendable (Result<SiloV1.ImportJobsResponse, Status>) -> Void

    /// - Parameters:
    ///   - ids: of all jobs of the request.
    ///   - refusals: for each of them what kept it from its shard.
    ///   - completion: runs once, when all are answered.
    init(
        _ ids: [String], _ refusals: [Status?], queues: Int,
        _ completion: @escaping @Sendable (Result<SiloV1.ImportJobsResponse, Status>) -> Void
    ) {
        let results = ids.map { id in
            var result = SiloV1.ImportJobResult()
            result.id = id
            result.status = .failed
            return result
        }
        state = Mutex(State(results: results, refusals: refusals, queuesLeft: queues))
        self.completion = completion
    }

    func begin(_ queues: [Queue]) {
        guard !queues.isEmpty else { return finish() }
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
        shard.submit(Each(now.map(\.job))) { result in
            switch result {
            case .success(let results):
                self.take(zip(now, results).map { ($0.index, $1) })
                guard !rest.isEmpty, !self.state.withLock({ $0.isAbandoned }) else { return self.finishQueue() }
                self.submit(rest, to: shard)
            case .failure(let error):
                // A shard that takes no more now would refuse what is left as well.
                self.take(entries.map { ($0.index, .failure(error)) })
                self.finishQueue()
            }
        }
    }

    private func take(_ results: [(index: Int, result: Result<JobStatusName, SiloError>)]) {
        state.withLock { state in
            for (index, result) in results {
                switch result {
                case .success(let status):
                    state.results[index].success = true
                    state.results[index].status = SiloV1.JobStatus(status)
                case .failure(let error):
                    state.refusals[index] = Status(error)
                }
            }
        }
    }

    private func finishQueue() {
        let isLast = state.withLock { state in
            state.queuesLeft -= 1
            return state.queuesLeft == 0
        }
        if isLast { finish() }
    }

    private func finish() {
        let (results, refusals) = state.withLock { ($0.results, $0.refusals) }
        // As other servers of the protocol answer the import of a running job; here it stops nobody else's.
        if let first = refusals.first ?? nil, refusals.allSatisfy({ $0?.isOfRunningJob ?? false }) {
            return completion(.failure(first))
        }
        var response = SiloV1.ImportJobsResponse()
        response.results = zip(results, refusals).map { result, refusal in
            var result = result
            result.error = refusal.map { "\($0.codeName): \($0.shortened.message)" }
            return result
        }
        completion(.success(response))
    }
}

extension Import {
    /// Rows that it writes, about.
    fileprivate var rows: Int { 4 + metadata.count + attempts.count }
}

extension Status {
    /// As other languages write it: `INVALID_ARGUMENT`.
    fileprivate var codeName: String {
        "\(code)".reduce("") { $0 + ($1.isUppercase ? "_" : "") + $1.uppercased() }
    }

    /// Names an import over a running job, whose refusal is the whole call's when nothing else was asked.
    fileprivate var isOfRunningJob: Bool {
        code == .failedPrecondition && message.hasPrefix("cannot reimport job") && message.hasSuffix("(status: Running)")
    }
}

/// What imports keep in memory until they are answered. A call is let in while there is room, or when it is alone.
final class ImportsInHand: Sendable {
    private let bytes = Mutex(0)

    /// - Throws: RESOURCE_EXHAUSTED when there is no room: back off and repeat.
    func enter(_ size: Int) throws(Status) {
        let isIn = bytes.withLock { bytes in
            guard bytes == 0 || bytes + size <= Bounds.importBytesMax else { return false }
            bytes += size
            return true
        }
        guard isIn else {
            throw Status(.resourceExhausted, "imports of \(Bounds.importBytesMax) bytes are in hand; back off and repeat")
        }
    }

    func leave(_ size: Int) { bytes.withLock { $0 -= size } }
}
