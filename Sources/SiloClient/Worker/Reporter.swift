import GRPC
import SiloAPI
import SiloCore
import Synchronization

/// Sends outcomes to their shards, again and again until they are taken or refused for good: work that is done is not lost
/// because a server is away. Those that come while a call is on its way share the next one.
final class Reporter: Sendable {
    private typealias Waiting = (request: SiloV1.ReportOutcomeRequest, continuation: CheckedContinuation<Status?, Never>)
    private struct Line {
        var waiting: [Waiting] = []
        var isSending = false
    }
    private let client: Client
    /// Where outcomes are sent; cancelling it gives up those that are not taken.
    private let sending: TaskBag
    private let lines = Mutex<[String: Line]>([:])
    /// Outcomes of one call at most, and their bytes. A larger one goes alone, so that a server that refuses it refuses no other.
    private static let batchMax = 256
    private static let batchBytesMax = 8 << 20

    init(_ client: Client, sending: TaskBag) {
        self.client = client
        self.sending = sending
    }

    /// On return the outcome is durable.
    /// - Throws: why it was refused; `.cancelled` when it was given up.
    func report(_ request: SiloV1.ReportOutcomeRequest) async throws(Status) {
        let refusal = await withCheckedContinuation { continuation in
            let begins = lines.withLock { lines in
                lines[request.shard, default: Line()].waiting.append((request, continuation))
                defer { lines[request.shard]?.isSending = true }
                return !(lines[request.shard]?.isSending ?? false)
            }
            // Ends when the line is empty; whoever reports waits for it.
            if begins { sending.start { await self.send(request.shard) } }
        }
        if let refusal { throw refusal }
    }

    private func send(_ shard: String) async {
        while true {
            let batch: [Waiting] = lines.withLock { lines in
                let waiting = lines[shard]?.waiting ?? []
                let batch = Array(waiting.prefix(Self.batchCount(of: waiting.lazy.map(\.request.weight))))
                lines[shard]?.waiting = Array(waiting.dropFirst(batch.count))
                if batch.isEmpty { lines[shard] = nil }
                return batch
            }
            guard !batch.isEmpty else { return }
            await send(batch, to: shard)
        }
    }

    /// How many outcomes go in one call, from the first on: at least one.
    static func batchCount(of weights: some Sequence<Int>) -> Int {
        var bytes = 0
        var count = 0
        for weight in weights.prefix(batchMax) {
            guard count == 0 || bytes + weight <= batchBytesMax else { break }
            bytes += weight
            count += 1
        }
        return count
    }

    /// On return each has its answer.
    private func send(_ batch: [Waiting], to shard: String) async {
        var rest = batch
        do throws(Status) {
            try await client.retry.run(.shard(shard), triesMax: nil) { _, address, _ throws(Status) in
                let refusals = try await self.send(rest.map(\.request), to: shard, at: address)
                var failure: Status?
                var again: [Waiting] = []
                for (waiting, refusal) in zip(rest, refusals) {
                    if let refusal, refusal.isWorthAnotherTry {
                        failure = refusal
                        again.append(waiting)
                    } else {
                        waiting.continuation.resume(returning: refusal)
                    }
                }
                rest = again
                if let failure { throw failure }
            }
        } catch {
            if rest.count > 1, error.code != .cancelled {
                // One of them may have spoilt the call for all.
                for waiting in rest { await send([waiting], to: shard) }
            } else {
                for waiting in rest { waiting.continuation.resume(returning: error) }
            }
        }
    }

    /// For each outcome why it was refused. Throws what concerns all of them.
    private func send(
        _ requests: [SiloV1.ReportOutcomeRequest], to shard: String, at address: String
    ) async throws(Status) -> [Status?] {
        if requests.count == 1 {
            _ = try await client.connections.call(SiloV1.Silo.reportOutcome, requests[0], at: address)
            return [nil]
        }
        var request = SiloV1.ReportOutcomesRequest()
        request.shard = shard
        request.outcomes = requests
        let response = try await client.connections.call(SiloV1.Silo.reportOutcomes, request, at: address)
        guard response.results.count == requests.count else {
            throw Status(.internalError, "the answer has \(response.results.count) results for \(requests.count) outcomes")
        }
        return response.results.map { result in
            result.code == 0 ? nil : Status(Status.Code(rawValue: result.code) ?? .unknown, result.error)
        }
    }
}

extension SiloV1.ReportOutcomeRequest {
    /// Bytes on the wire, or a little more.
    fileprivate var weight: Int {
        let content = switch outcome {
        case .success(let result): Payload(result).bytes.count
        case .failure(let failure): Payload(failure.data).bytes.count + failure.code.utf8.count
        case .cancelled, nil: 0
        }
        return content + shard.utf8.count + taskId.utf8.count + (tenantId?.utf8.count ?? 0) + 64
    }
}
