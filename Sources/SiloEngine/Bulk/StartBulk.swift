import Protobuf
public import SiloCore
public import SiloStore

/// Begins an action on every job that meets a condition, which `BulkRunner` then does step by step, also after a crash.
///
/// It is about the jobs that are stored now and that meet the condition when their turn comes, each of which comes once: they are
/// looked at in the order of their keys, which never change, and what comes later is known by its arrival. So a job that is
/// restarted and fails again is not restarted again, and none is missed because it moved.
public struct StartBulk: Command {
    public let id: BulkID
    public let verb: StorageV1.BulkVerb
    public let condition: String
    public let scope: BulkScope
    /// The caller, as messages name it.
    public let startedBy: String

    public init(_ id: BulkID, _ verb: StorageV1.BulkVerb, where condition: String, of scope: BulkScope, by startedBy: String) {
        self.id = id
        self.verb = verb
        self.condition = condition
        self.scope = scope
        self.startedBy = startedBy
    }

    package var contentBytes: Int { condition.utf8.count }

    package enum Found: Sendable {
        /// It was begun before.
        case known(StorageV1.BulkAction)
        /// - Parameter expected: jobs that it will look at.
        case new(expected: UInt64)
    }

    package func check(_ view: View) async throws(Refusal) -> Found {
        if let known = view.bulk(id) {
            // Of a shard that was cut in two, each has the tenants of both.
            let isSame = (known.scope == .everybody) == (scope == .everybody) && known.scope.covers(scope)
            guard known.verb == verb, known.condition.hasSameBytes(as: condition), isSame else {
                throw .refused(.invalidArgument("id is that of another action"))
            }
            return .known(known)
        }
        // As it is stored, none would be everybody.
        guard scope != .these([]) else { throw .refused(.invalidArgument("tenants are required")) }
        for tenant in scope.tenants ?? [] { try view.checkNotDropped(tenant) }
        guard view.bulksRunning < view.settings.bulkActionsMax else {
            throw .refused(.exhausted("the shard has \(view.bulksRunning) bulk actions that go on, as many as it may"))
        }
        return .new(expected: try await expected(view))
    }

    private func expected(_ view: View) async throws(Refusal) -> UInt64 {
        guard let tenants = scope.tenants else { return UInt64(clamping: view.totalJobs) }
        var jobs: UInt64 = 0
        for tenant in tenants { jobs += try await view.counts(of: tenant).total }
        return jobs
    }

    /// Durable when answered.
    package func run(_ found: Found, in transaction: Transaction) async throws(StoreError) -> BegunBulk {
        let expected: UInt64
        switch found {
        case .known(let action): return BegunBulk(action: action, isNew: false)
        case .new(let count): expected = count
        }
        transaction.forgetBulks()
        var action = StorageV1.BulkAction()
        action.id = id.uuid.bytes
        action.verb = verb
        action.condition = condition
        action.scope = scope
        action.startedBy = startedBy
        action.startedAtMs = transaction.now.milliseconds
        action.expected = expected
        let everything = Slice.rows(of: Slice.all[0]...Slice.all[Slice.count - 1])
        var span = StorageV1.BulkSpan()
        (span.from, span.to) = everything
        span.arrivalsBefore = transaction.memory.info.arrivalsSoFar
        action.left = [span]
        transaction.put(action, id)
        return BegunBulk(action: action, isNew: true)
    }
}

/// What `StartBulk` answers.
package struct BegunBulk: Sendable {
    package let action: StorageV1.BulkAction
    /// It was not begun before.
    package let isNew: Bool
}

/// Ends an action where it is. One that has ended stays as it is.
public struct StopBulk: Command {
    public let id: BulkID

    public init(_ id: BulkID) { self.id = id }

    package func check(_ view: View) async throws(Refusal) -> StorageV1.BulkAction {
        guard let action = view.bulk(id) else { throw .refused(.bulkActionNotFound) }
        return action
    }

    /// Durable when answered.
    package func run(_ found: StorageV1.BulkAction, in transaction: Transaction) async throws(StoreError) -> StorageV1.BulkAction
    {
        guard found.goesOn else { return found }
        var action = found
        action.end(.stopped, at: transaction.now)
        transaction.put(action, id)
        return action
    }
}

/// The actions that go on, and those that have ended and are remembered; in no order.
package struct ListBulks: Query {
    package static var isAside: Bool { true }

    package init() {}

    package func check(_ view: View) async throws(Refusal) -> [StorageV1.BulkAction] { view.bulks }
}

/// Ends an action that cannot go on, or that has nothing left to look at.
struct EndBulk: Duty {
    let id: BulkID
    /// Why it cannot; nil: it is done.
    let error: String?

    static var isAside: Bool { true }
    private static let errorScalarsMax = 1000

    /// Nil: it had ended.
    func run(in transaction: Transaction) async throws(StoreError) -> StorageV1.BulkAction? {
        guard var action = transaction.memory.bulks[id], action.goesOn else { return nil }
        let text = String((error ?? "").unicodeScalars.prefix(Self.errorScalarsMax))
        action.end(error == nil ? .done : .broken, text, at: transaction.now)
        transaction.put(action, id)
        return action
    }
}

/// Forgets actions that ended long ago.
struct ForgetBulks: Duty {
    static var isAside: Bool { true }

    func run(in transaction: Transaction) async throws(StoreError) { transaction.forgetBulks() }
}

extension Transaction {
    func put(_ action: StorageV1.BulkAction, _ id: BulkID) {
        rows.put(ShardKeys.bulk(id), action.serializedBytes())
        memory.bulks.set(id, action)
    }

    func forgetBulks() {
        for id in memory.bulks.overdue(by: now, settings) {
            rows.delete(ShardKeys.bulk(id))
            memory.bulks.set(id, nil)
        }
    }
}
