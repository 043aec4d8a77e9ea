import SiloCore
import SiloStore
import SiloTelemetry
import Synchronization

/// A command on its way through the shard, with the caller that waits for it.
///
/// The loop runs it; when what it wrote is durable, the committer answers. Exactly one of `answer` and `fail` is called.
protocol PendingWork: AnyObject, Sendable {
    var lane: Lane { get }
    var weight: Weight { get }
    /// Who asked for it.
    var context: RequestContext { get }
    /// When it came in, in steady time.
    var arrivedAt: Timestamp { get set }

    /// Runs and keeps the result. A refusal is a result too; a store error stops the shard.
    /// - Parameter room: what the turn may still do; pays for what was done.
    /// - Returns: false when there is more to do, in another turn.
    func run(in transaction: Transaction, _ room: inout TurnRoom) async throws(StoreError) -> Bool
    func answer()
    func fail(_ error: SiloError)

    /// Whether it may be refused for want of space: it changes something, and somebody else asked for it.
    var changes: Bool { get }

    /// A step of what leaves the shard to all other work.
    var isAside: Bool { get }

    /// When there is more to do, what has come meanwhile is done first.
    var goesOnBehindOthers: Bool { get }

    /// Whether it still counts as work in hand; from then on it does not.
    func takeSlot() -> Bool

    /// What came free goes to those who wait for work before it has its turn.
    var goesBehindWaiters: Bool { get }

    /// Bytes that it takes in hand besides its weight, now that it has run.
    func grow() -> Int

    /// It has run: it may take a place among those who wait for work, or let some of them go.
    /// - Returns: who is to be answered.
    func settle(among waiters: inout Waiters, at steady: Timestamp) -> [any PendingWork]
}

extension PendingWork {
    var changes: Bool { lane != .own }
    var isAside: Bool { false }
    var goesOnBehindOthers: Bool { false }
    func takeSlot() -> Bool { true }
    var goesBehindWaiters: Bool { false }
    func grow() -> Int { 0 }
    func settle(among waiters: inout Waiters, at steady: Timestamp) -> [any PendingWork] { [self] }
}

// The commands of every job are compiled for themselves: without that their types are looked up at run time, each time anew.
// Safety: `arrivedAt` is the mailbox's while the object is inside. The loop alone touches `command` and `result` until it hands
// the object to the committer, which alone touches them from then on.
final class PendingCommand<C: Command>: PendingWork, @unchecked Sendable {
    private var command: C?
    private let completion: @Sendable (Result<C.Answer, SiloError>) -> Void
    private var result: Result<C.Answer, SiloError>?
    let weight: Weight
    let context: RequestContext
    private let span: RecordedSpan?
    var arrivedAt = Timestamp(0)

    @specialized(where C == Enqueue)
    @specialized(where C == ReportOutcome)
    init(
        _ command: C, _ context: RequestContext = .server, _ completion: @escaping @Sendable (Result<C.Answer, SiloError>) -> Void
    ) {
        self.command = command
        self.context = context
        span = context.span?.commit(of: C.self)
        self.completion = completion
        weight = command.weight
    }

    var lane: Lane { C.lane }
    var changes: Bool { lane != .own && !(C.self is any Query.Type) }
    var isAside: Bool { C.isAside }

    @specialized(where C == Enqueue)
    @specialized(where C == ReportOutcome)
    func run(in transaction: Transaction, _ room: inout TurnRoom) async throws(StoreError) -> Bool {
        room.take(weight)
        guard let command else { return true }
        span?.note("begun")
        result = try await transaction.perform(command)
        span?.note("done")
        // What it carries is in the batch.
        self.command = nil
        return true
    }

    func answer() { end(result ?? .failure(.unavailable("the command did not run"))) }
    func fail(_ error: SiloError) { end(.failure(error)) }

    @specialized(where C == Enqueue)
    @specialized(where C == ReportOutcome)
    private func end(_ result: Result<C.Answer, SiloError>) {
        span?.end(result)
        completion(result)
    }
}

// Safety: as for `PendingCommand`.
final class PendingEach<C: Command>: PendingWork, @unchecked Sendable {
    private let commands: [C]
    private let completion: @Sendable (Result<[Result<C.Answer, SiloError>], SiloError>) -> Void
    private var results: [Result<C.Answer, SiloError>] = []
    let weight: Weight
    let context: RequestContext
    private let span: RecordedSpan?
    var arrivedAt = Timestamp(0)

    init(
        _ each: Each<C>, _ context: RequestContext = .server,
        _ completion: @escaping @Sendable (Result<[Result<C.Answer, SiloError>], SiloError>) -> Void
    ) {
        commands = each.commands
        self.context = context
        span = context.span?.commit(of: C.self, count: each.commands.count)
        self.completion = completion
        weight = commands.reduce(Weight(jobs: 0, bytes: Weight.commandBytes)) { $0 + $1.weight }
    }

    var lane: Lane { C.lane }
    var changes: Bool { lane != .own && !(C.self is any Query.Type) }

    func run(in transaction: Transaction, _ room: inout TurnRoom) async throws(StoreError) -> Bool {
        if results.isEmpty {
            span?.note("begun")
            results.reserveCapacity(commands.count)
        }
        // One at least: whatever stands before it in each turn, it gets on.
        while results.count < commands.count {
            let command = commands[results.count]
            room.take(command.weight)
            results.append(try await transaction.perform(command))
            transaction.begin()
            if room.isSpent(at: transaction.steady) { break }
        }
        guard results.count == commands.count else { return false }
        span?.note("done")
        return true
    }

    func answer() { end(.success(results)) }
    func fail(_ error: SiloError) { end(.failure(error)) }

    private func end(_ result: Result<[Result<C.Answer, SiloError>], SiloError>) {
        span?.end(result)
        completion(result)
    }
}

/// Lets every worker that waits go, with nothing.
// Safety: nobody touches `arrivedAt`, which means nothing for it.
final class DismissWaiters: PendingWork, @unchecked Sendable {
    var lane: Lane { .own }
    var weight: Weight { .zero }
    var context: RequestContext { .server }
    var arrivedAt = Timestamp(0)
    func run(in transaction: Transaction, _ room: inout TurnRoom) async throws(StoreError) -> Bool { true }
    func settle(among waiters: inout Waiters, at steady: Timestamp) -> [any PendingWork] { [self] + waiters.popAll() }
    func answer() {}
    func fail(_ error: SiloError) {}
}
