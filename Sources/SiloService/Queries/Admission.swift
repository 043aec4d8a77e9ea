import SiloCore
import SiloQuery
import Synchronization

/// The statements that run: how many each shard has at once, and how all of them are ended.
final class Admission: Sendable {
    private struct State {
        var running: [ShardID: Int] = [:]
        var statements: [Int: (shards: [ShardID], control: StatementControl)] = [:]
        var entered = 0
        var isClosed = false
    }
    /// 0: no bound.
    private let most: Int
    private let state = Mutex(State())

    init(most: Int) { self.most = most }

    /// Enters a statement at all of its shards, or at none.
    /// - Returns: what it leaves by.
    func enter(_ shards: [ShardID], _ control: StatementControl) throws(SiloError) -> Int {
        let result: Result<Int, SiloError> = state.withLock { state in
            guard !state.isClosed else { return .failure(.closing) }
            guard most == 0 || shards.allSatisfy({ state.running[$0, default: 0] < most }) else { return .failure(isFull) }
            for shard in shards { state.running[shard, default: 0] += 1 }
            state.entered += 1
            state.statements[state.entered] = (shards, control)
            return .success(state.entered)
        }
        return try result.get()
    }

    func leave(_ entry: Int) {
        state.withLock { state in
            for shard in state.statements.removeValue(forKey: entry)?.shards ?? [] {
                let left = state.running[shard, default: 1] - 1
                state.running[shard] = left > 0 ? left : nil
            }
        }
    }

    /// Ends every statement, and lets no more in.
    func close() {
        let controls = state.withLock { state in
            state.isClosed = true
            return state.statements.values.map(\.control)
        }
        for control in controls { control.end(.closing) }
    }

    private var isFull: SiloError {
        .exhausted("the shard has as many statements as it may, max_concurrent_statements = \(most); ask again later")
    }
}

extension SiloError {
    static let closing = SiloError.unavailable("the server is shutting down")
}
