import SiloCore
import SiloStore
import Synchronization

/// A command on its way through the shard, with the caller that waits for it.
///
/// The loop runs it; when what it wrote is durable, the committer answers. Exactly one of `answer` and `fail` is called.
protocol PendingWork: AnyObject, Sendable {
    var payloadBytes: Int { get }

    /// Runs and keeps the result. A refusal is a result too; a store error stops the shard.
    func run(in transaction: Transaction) async throws(StoreError)
    func answer()
    func fail(_ error: SiloError)

    /// Whether it still counts as work in hand; from then on it does not.
    func takeSlot() -> Bool
}

extension PendingWork {
    func takeSlot() -> Bool { true }
}

// Safety: the loop alone touches `result` until it hands the object to the committer, which alone touches it from then on.
final class PendingCommand<C: Command>: PendingWork, @unchecked Sendable {
    private let command: C
    private let completion: @Sendable (Result<C.Answer, SiloError>) -> Void
    private var result: Result<C.Answer, SiloError>?

    init(_ command: C, _ completion: @escaping @Sendable (Result<C.Answer, SiloError>) -> Void) {
        self.command = command
        self.completion = completion
    }

    var payloadBytes: Int { command.payloadBytes }

    func run(in transaction: Transaction) async throws(StoreError) {
        result = try await transaction.perform(command)
    }

    func answer() { completion(result ?? .failure(.unavailable("the command did not run"))) }
    func fail(_ error: SiloError) { completion(.failure(error)) }
}

extension Transaction {
    /// Runs a command: all of it, or, when it is refused, nothing.
    func perform<C: Command>(_ command: C) async throws(StoreError) -> Result<C.Answer, SiloError> {
        do {
            let answer = try await command.run(in: self)
            keep()
            if memory.limits.hasFreed { try await grantFreed() }
            return .success(answer)
        } catch let error as SiloError {
            rollBack()
            return .failure(error)
        } catch let error as StoreError {
            throw error
        } catch {
            throw .corrupt("unexpected error: \(error)")
        }
    }

    /// Runs commands one after another, each on its own: each meets what those before it did, and one that is refused does not
    /// touch the others.
    func performEach<C: Command>(_ commands: [C]) async throws(StoreError) -> [Result<C.Answer, SiloError>] {
        var results: [Result<C.Answer, SiloError>] = []
        results.reserveCapacity(commands.count)
        for command in commands { results.append(try await perform(command)) }
        return results
    }
}

/// Lets every worker that waits go, with nothing.
final class DismissWaiters: PendingWork {
    var payloadBytes: Int { 0 }
    func run(in transaction: Transaction) async throws(StoreError) {}
    func answer() {}
    func fail(_ error: SiloError) {}
}

/// A worker's request for tasks, which may wait for work.
// Safety: as for `PendingCommand`; `abandoned` is atomic.
public final class PendingLease: PendingWork, @unchecked Sendable {
    let lease: Lease
    /// Until when it waits for a first task; nil: it does not.
    let deadline: Timestamp?
    private let abandoned = Atomic(false)
    private let hasSlot = Atomic(true)
    private let freed: @Sendable () -> Void
    private let completion: @Sendable (Result<Leased, SiloError>) -> Void
    private var result: Result<Leased, SiloError> = .success(Leased())

    /// - Parameter freed: it no longer counts as work in hand, because nobody waits for it.
    init(
        _ lease: Lease, deadline: Timestamp?, freed: @escaping @Sendable () -> Void,
        _ completion: @escaping @Sendable (Result<Leased, SiloError>) -> Void
    ) {
        self.freed = freed
        self.lease = lease
        self.deadline = deadline
        self.completion = completion
    }

    var payloadBytes: Int { 0 }

    /// The caller is gone: nothing is leased for it from now on. What is on its way still reaches the completion.
    public func abandon() {
        abandoned.store(true, ordering: .relaxed)
        if takeSlot() { freed() }
    }

    func takeSlot() -> Bool { hasSlot.exchange(false, ordering: .relaxed) }

    var isAbandoned: Bool { abandoned.load(ordering: .relaxed) }

    /// It ran and found nothing, and the worker is willing to wait.
    func waits(at now: Timestamp) -> Bool {
        guard let deadline, deadline > now, lease.taskCountMax > 0, !isAbandoned else { return false }
        return (try? result.get().isEmpty) ?? false
    }

    func run(in transaction: Transaction) async throws(StoreError) {
        guard !isAbandoned else { return }
        result = try await transaction.perform(lease)
    }

    func answer() { completion(result) }
    func fail(_ error: SiloError) { completion(.failure(error)) }
}
