import SiloCore
import Synchronization

/// Who works: the workers that this node heard of lately, and those that are to get nothing new. In memory alone, bounded.
final class WorkerRegistry: Sendable {
    /// What one worker asks for of one group.
    struct Asked: Sendable {
        let first: Timestamp
        var last: Timestamp
        var polls: UInt64 = 0
        var tasks: UInt64 = 0
    }
    struct Worker: Sendable {
        let id: String
        var host = ""
        var version = ""
        var peer = ""
        let first: Timestamp
        var last: Timestamp
        var groups: [TaskGroup: Asked] = [:]
        var quietSince: Timestamp?
    }
    static let workersMax = 4096
    static let groupsMax = 32
    /// A worker that is silent for so long is forgotten, in milliseconds.
    static let silenceMax: Int64 = 3_600_000
    private let workers = Mutex<[ExactText: Worker]>([:])
    private let clock: any Clock

    init(clock: any Clock) { self.clock = clock }

    /// A worker asks for work.
    /// - Returns: whether it may have some.
    func polled(_ id: String, group: String, host: String, version: String, peer: String) -> Bool {
        let (now, group) = (clock.now, TaskGroup(group))
        return change(id, now) { worker in
            worker.host = host
            worker.version = version
            if !peer.isEmpty { worker.peer = peer }
            if worker.groups[group] == nil, worker.groups.count == Self.groupsMax { worker.forgetOldestGroup() }
            worker.groups[group, default: Asked(first: now, last: now)].polls += 1
            worker.groups[group]?.last = now
            return worker.quietSince == nil
        } ?? true
    }

    /// - Returns: whether it may have what was found for it.
    func given(_ count: Int, to id: String, group: String) -> Bool {
        let id = ExactText(id)
        return workers.withLock { workers in
            guard workers[id]?.quietSince == nil else { return false }
            workers[id]?.groups[TaskGroup(group)]?.tasks += UInt64(clamping: count)
            return true
        }
    }

    /// It is there, and keeps a lease.
    func heard(_ id: String) { change(id, clock.now) { _ in } }

    /// - Returns: whether it was quiet before; nil: too many are, and this one was not made so.
    func setQuiet(_ id: String, _ isQuiet: Bool) -> Bool? {
        let now = clock.now
        guard isQuiet else {
            let id = ExactText(id)
            return workers.withLock { workers in
                defer { workers[id]?.quietSince = nil }
                return workers[id]?.quietSince != nil
            }
        }
        return change(id, now) { worker in
            defer { worker.quietSince = worker.quietSince ?? now }
            return worker.quietSince != nil
        }
    }

    /// Whether it has asked for work lately. One that was only made quiet has not.
    func hasAsked(_ id: String) -> Bool { workers.withLock { $0[ExactText(id)]?.groups.isEmpty == false } }

    /// In order of their ids.
    var all: [Worker] {
        let now = clock.now
        return workers.withLock { workers in
            workers = workers.filter { now - $0.value.last < Self.silenceMax }
            return workers.sorted { $0.key < $1.key }.map(\.value)
        }
    }

    /// How many asked for each group lately.
    func workersByGroup(within milliseconds: Int64) -> [TaskGroup: UInt64] {
        let now = clock.now
        return workers.withLock { workers in
            var counts: [TaskGroup: UInt64] = [:]
            for worker in workers.values {
                for (group, asked) in worker.groups where now - asked.last <= milliseconds { counts[group, default: 0] += 1 }
            }
            return counts
        }
    }

    @discardableResult
    private func change<Answer: Sendable>(_ name: String, _ now: Timestamp, _ body: (inout Worker) -> Answer) -> Answer? {
        let id = ExactText(name)
        return workers.withLock { workers in
            if workers[id] == nil {
                if workers.count >= Self.workersMax, !Self.makeRoom(in: &workers, now) { return nil }
                workers[id] = Worker(id: name, first: now, last: now)
            }
            defer { workers[id]?.last = now }
            // Changed in its place: a copy would copy its groups.
            return body(&workers[id, default: Worker(id: name, first: now, last: now)])
        }
    }

    /// Forgets the worker that has been silent for longest, of those that are not quiet. One walk makes room for many.
    private static func makeRoom(in workers: inout [ExactText: Worker], _ now: Timestamp) -> Bool {
        let silent = workers.values.filter { $0.quietSince == nil || now - $0.last >= silenceMax }.sorted { $0.last < $1.last }
        for worker in silent.prefix(workersMax / 8) { workers[ExactText(worker.id)] = nil }
        return !silent.isEmpty
    }
}

extension WorkerRegistry.Worker {
    fileprivate mutating func forgetOldestGroup() {
        if let oldest = groups.min(by: { $0.value.last < $1.value.last }) { groups[oldest.key] = nil }
    }
}
