import SiloCore
import SiloEngine

/// How one worker's request for tasks goes over several shards: what happened in, what is to be done out. `LeaseRun` does it.
///
/// It visits the shards that have work for the group, one after another until it has enough. When none has and the worker waits,
/// it waits at all of them, and the first to have some answers. Tasks that come when nobody takes them any more are given back.
/// Shards are named by their place in the order in which they are asked.
struct LeaseSweep {
    enum Action {
        /// The worker would have taken work of this shard, which has none.
        case notePoll(Int)
        /// Lease from one shard at once, what there is still room for.
        case visit(Int, taskCountMax: Int, answerBytesMax: Int, takesOversized: Bool)
        /// Lease from every shard, each waiting for work if the worker does.
        case waitEverywhere
        /// As if these had not been leased: nobody was told of them.
        case giveBack([TaskID], to: Int)
        /// Nothing more is leased by those that still wait.
        case letGo
        case answer([(shard: Int, leased: Leased)])
        case fail(SiloError)
    }

    private enum Stage {
        case visiting(Int)
        case waiting(unanswered: Int)
        case over
    }

    private var stage = Stage.visiting(0)
    private var found: [(shard: Int, leased: Leased)] = []
    private var failure: SiloError?
    /// Whether a shard answered without failing, or was not asked because it has nothing.
    private var hasHealthy = false
    private let shardCount: Int
    private let withWork: [Int]
    private let taskCountMax: Int
    private let answerBytesMax: Int
    private let waits: Bool

    /// - Parameters:
    ///   - withWork: shards that have work for the group.
    ///   - waits: whether the worker waits for a first task.
    init(shardCount: Int, withWork: [Int], taskCountMax: Int, answerBytesMax: Int, waits: Bool) {
        self.shardCount = shardCount
        self.withWork = withWork
        self.taskCountMax = taskCountMax
        self.answerBytesMax = answerBytesMax
        self.waits = waits
    }

    // MARK: Events

    mutating func begin() -> [Action] {
        // Where there is but one shard, looking and waiting are one request.
        guard shardCount > 1 else { return waitEverywhere() }
        hasHealthy = withWork.count < shardCount
        let idle = waits ? [] : (0..<shardCount).filter { !withWork.contains($0) }
        return idle.map(Action.notePoll) + visit(0)
    }

    /// A shard gave what it was asked for, or failed.
    mutating func answered(by shard: Int, _ result: Result<Leased, SiloError>) -> [Action] {
        var actions: [Action] = []
        switch result {
        case .failure(let error): failure = error
        case .success(let leased):
            hasHealthy = true
            if takes(leased) {
                found.append((shard, leased))
            } else if !leased.isEmpty {
                actions.append(.giveBack(leased.ids, to: shard))
            }
        }
        switch stage {
        case .visiting(let index): return actions + visit(index + 1)
        case .waiting(let unanswered):
            stage = .waiting(unanswered: unanswered - 1)
            return actions + (unanswered == 1 || !found.isEmpty ? finish() : [])
        case .over: return actions
        }
    }

    /// The worker is gone: nothing more is leased for it.
    mutating func abandon() -> [Action] {
        if case .over = stage { return [] }
        stage = .over
        defer { found = [] }
        return [.letGo] + found.map { .giveBack($0.leased.ids, to: $0.shard) }
    }

    // MARK: Steps

    private func takes(_ leased: Leased) -> Bool {
        switch stage {
        case .visiting: !leased.isEmpty
        case .waiting: !leased.isEmpty && found.isEmpty
        case .over: false
        }
    }

    private mutating func visit(_ index: Int) -> [Action] {
        let tasks = taskCountMax - found.reduce(0) { $0 + $1.leased.tasks.count }
        let bytes = answerBytesMax - found.reduce(0) { $0 + $1.leased.answerBytes }
        guard index < withWork.count, tasks > 0, bytes > 0 else {
            return waits && found.isEmpty && hasHealthy ? waitEverywhere() : finish()
        }
        stage = .visiting(index)
        return [.visit(withWork[index], taskCountMax: tasks, answerBytesMax: bytes, takesOversized: found.isEmpty)]
    }

    private mutating func waitEverywhere() -> [Action] {
        stage = .waiting(unanswered: shardCount)
        return [.waitEverywhere]
    }

    /// Answers, once. A shard that failed does not spoil what others gave.
    private mutating func finish() -> [Action] {
        stage = .over
        if let failure, !hasHealthy { return [.letGo, .fail(failure)] }
        defer { found = [] }
        return [.letGo, .answer(found)]
    }
}

extension Leased {
    fileprivate var answerBytes: Int {
        tasks.reduce(refreshes.reduce(0) { $0 + $1.answerBytes }) { $0 + $1.answerBytes }
    }
}
