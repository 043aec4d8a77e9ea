import GRPC
import SiloAPI
import SiloCore
import Synchronization

/// Sends outcomes to their shards. Those that come while a call is on its way share the next one.
final class Reporter: Sendable {
    private typealias Waiting = (request: SiloV1.ReportOutcomeRequest, continuation: CheckedContinuation<Status?, Never>)
    private struct Line {
        var waiting: [Waiting] = []
        var isSending = false
    }
    private let client: Client
    private let lines = Mutex<[String: Line]>([:])
    /// Outcomes of one call at most.
    private static let batchMax = 256
    /// Results of one call, but for the last.
    private static let batchBytesMax = 8 << 20

    init(_ client: Client) {
        self.client = client
    }

    /// On return the outcome is durable.
    func report(_ request: SiloV1.ReportOutcomeRequest) async throws(Status) {
        let refusal = await withCheckedContinuation { continuation in
            let begins = lines.withLock { lines in
                lines[request.shard, default: Line()].waiting.append((request, continuation))
                defer { lines[request.shard]?.isSending = true }
                return !(lines[request.shard]?.isSending ?? false)
            }
            // Ends when the line is empty; whoever reports waits for it.
            if begins { client.surroundings.start { await self.send(request.shard) } }
        }
        if let refusal { throw refusal }
    }

    private func send(_ shard: String) async {
        while true {
            let batch: [Waiting] = lines.withLock { lines in
                let waiting = lines[shard]?.waiting ?? []
                var bytes = 0
                let batch = Array(waiting.prefix(Self.batchMax).prefix { item in
                    defer { bytes += item.request.payloadBytes }
                    return bytes < Self.batchBytesMax
                })
                lines[shard]?.waiting = Array(waiting.dropFirst(batch.count))
                if batch.isEmpty { lines[shard] = nil }
                return batch
            }
            guard !batch.isEmpty else { return }
            do throws(Status) {
                let refusals = try await client.retry.run(.shard(shard)) { _, address, _ throws(Status) in
                    try await self.send(batch.map(\.request), to: shard, at: address)
                }
                for (waiting, refusal) in zip(batch, refusals) { waiting.continuation.resume(returning: refusal) }
            } catch {
                for waiting in batch { waiting.continuation.resume(returning: error) }
            }
        }
    }

    /// For each outcome why it was refused. Throws what is worth another try.
    private func send(
        _ requests: [SiloV1.ReportOutcomeRequest], to shard: String, at address: String
    ) async throws(Status) -> [Status?] {
        if requests.count == 1 {
            do throws(Status) {
                _ = try await client.connections.call(SiloV1.Silo.reportOutcome, requests[0], at: address)
                return [nil]
            } catch {
                if error.isWorthAnotherTry { throw error }
                return [error]
            }
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
    /// Bytes of the result, or of the failure's data.
    fileprivate var payloadBytes: Int {
        switch outcome {
        case .success(let result): Payload(result).bytes.count
        case .failure(let failure): Payload(failure.data).bytes.count
        case .cancelled, nil: 0
        }
    }
}
