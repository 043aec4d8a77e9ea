import GRPC
import SiloCore

/// Sends a request until somebody takes it: it follows redirects, asks where the shards are, and pauses in between
/// (spec/clients.md 5).
struct Retry: Sendable {
    enum Target: Sendable {
        case tenant(String?)
        case shard(String)
        /// The request finds its way by itself.
        case anywhere
    }
    let connections: Connections
    let clock: any Clock

    /// - Parameters:
    ///   - triesMax: sends that are repeated at most; nil: until the task is cancelled, or a refusal is final.
    ///   - send: one try: the shard, its address, and how many tries came before.
    func run<Answer: Sendable>(
        _ target: Target, triesMax: Int?,
        _ send: (_ shard: String, _ address: String, _ tries: Int) async throws(Status) -> Answer
    ) async throws(Status) -> Answer {
        var pause = connections.options.retryPause
        var tries = 0
        while true {
            var shard = ""
            do throws(Status) {
                shard = try await self.shard(of: target)
                return try await send(shard, connections.address(of: shard), tries)
            } catch {
                guard error.isWorthAnotherTry, triesMax.map({ tries < $0 }) ?? true else { throw error }
                if error.isWrongShard, let address = error.trailers["x-silo-shard-owner-addr"] {
                    connections.moved(shard, to: address)
                } else {
                    // If nobody answers, the next try says so.
                    _ = try? await connections.refresh()
                    // Nobody will ever know it again.
                    if error.isWrongShard, case .shard = target, connections.isGone(shard) { throw error }
                }
            }
            do { try await clock.sleep(milliseconds: pause.milliseconds) } catch {
                throw Status(.cancelled, "the caller was cancelled")
            }
            pause = min(pause * 2, .seconds(5))
            tries += 1
            Probe.clientRepeated.reached()
        }
    }

    /// The same as often as the client's options say.
    func run<Answer: Sendable>(
        _ target: Target, _ send: (_ shard: String, _ address: String, _ tries: Int) async throws(Status) -> Answer
    ) async throws(Status) -> Answer {
        try await run(target, triesMax: connections.options.retriesMax, send)
    }

    private func shard(of target: Target) async throws(Status) -> String {
        switch target {
        case .anywhere: return ""
        case .shard(let id): return id
        case .tenant(let tenant):
            guard let found = try await connections.topology().shard(of: tenant) else {
                throw Status(.unavailable, "nobody serves the shard of tenant \(tenant ?? "-")")
            }
            return found.id
        }
    }
}
