package import SiloCore
package import SiloStore

/// One change of a shard. Commands run one after another.
///
/// Each first checks, on a view that can change nothing, and then changes, by moves that cannot be refused. So a refused command
/// has left no trace, and there is nothing to undo.
package protocol Command: Sendable {
    associatedtype Answer: Sendable
    /// What the checks found, for `run`.
    associatedtype Found

    /// Where it waits for its turn.
    static var lane: Lane { get }

    /// A step of a bulk action or of housekeeping, or asks how far one is: no sign of other work.
    static var isAside: Bool { get }

    /// Jobs that it is about.
    var jobCount: Int { get }

    /// What it keeps in memory until it is answered, besides its fixed cost.
    var contentBytes: Int { get }

    /// Refuses the command, or finds what it is about.
    func check(_ view: View) async throws(Refusal) -> Found

    /// Makes the change. The store's failure stops the shard, whose memory is thrown away then.
    func run(_ found: Found, in transaction: Transaction) async throws(StoreError) -> Answer
}

/// A command that nothing refuses, such as what the loop does by itself.
package protocol Duty: Command where Found == Void {
    associatedtype Answer
    func run(in transaction: Transaction) async throws(StoreError) -> Answer
}

/// A command that changes nothing: its checks are all there is.
package protocol Query: Command where Found == Answer {}

/// How a check ends that found no reason to go on.
package enum Refusal: Error {
    case refused(SiloError)
    /// Nobody knows whether it would have been refused. The shard stops, unless it may pass.
    case store(StoreError)
}

extension Command {
    package static var lane: Lane { .ordinary }
    package static var isAside: Bool { false }
    package var jobCount: Int { 1 }
    package var contentBytes: Int { 0 }

    var weight: Weight {
        Weight(jobs: jobCount, bytes: Weight.commandBytes * max(1, jobCount) + Weight.copies * contentBytes)
    }
}

extension Duty {
    package func check(_ view: View) async throws(Refusal) {}
    package func run(_ found: Void, in transaction: Transaction) async throws(StoreError) -> Answer {
        try await run(in: transaction)
    }
}

extension Query {
    package func run(_ found: Answer, in transaction: Transaction) async throws(StoreError) -> Answer { found }
}

extension Transaction {
    /// Runs a command: all of it, or, when it is refused, nothing. What it freed is given to those who wait, before the next
    /// command.
    func perform<C: Command>(_ command: C) async throws(StoreError) -> Result<C.Answer, SiloError> {
        let found: C.Found
        do throws(Refusal) {
            found = try await command.check(View(of: self))
        } catch {
            switch error {
            case .refused(let reason): return .failure(reason)
            case .store(let failure):
                // Nothing was changed: it is this command's misfortune alone.
                guard mayPass(failure) else { throw failure }
                return .failure(SiloError(stopped: failure))
            }
        }
        let answer = try await command.run(found, in: self)
        if memory.limits.hasFreed { try await grants.grantFreed() }
        return .success(answer)
    }

    /// The same for what is never refused.
    func perform<D: Duty>(_ duty: D) async throws(StoreError) -> D.Answer {
        let answer = try await duty.run(in: self)
        if memory.limits.hasFreed { try await grants.grantFreed() }
        return answer
    }
}

/// Several commands of one kind that are answered together, each on its own: one that is refused does not touch the others. They
/// may be spread over several turns, and meet what other callers did in between.
package struct Each<C: Command>: Sendable {
    package let commands: [C]

    package init(_ commands: [C]) {
        self.commands = commands
    }
}

/// The lines in which commands wait for the loop.
package enum Lane: Sendable {
    /// What the shard sends itself: never refused, for it would be lost. There is at most one for each task that was leased.
    case own
    /// What keeps or ends a lease: it goes before new work, so that no crowd of callers makes a worker lose its lease.
    case renewal
    case ordinary
}

/// What commands cost: counted once, when they are made.
struct Weight: Sendable, Equatable {
    /// Commands, each about a job.
    var jobs: Int
    /// In memory, until they are answered.
    var bytes: Int

    /// A command without content, with the request that it came from: measured with 400,000 small jobs in hand.
    static let commandBytes = 2048

    /// How often what a command carries is in memory at the worst: in the command, in the batch, and in the store until it is
    /// flushed.
    static let copies = 3

    static let zero = Weight(jobs: 0, bytes: 0)
    static func + (left: Weight, right: Weight) -> Weight {
        Weight(jobs: left.jobs + right.jobs, bytes: left.bytes + right.bytes)
    }
    static func += (left: inout Weight, right: Weight) { left = left + right }
}
