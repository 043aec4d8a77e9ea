import SiloCore

/// One change of a shard. Commands run one after another; each is all or nothing.
public protocol Command: Sendable {
    associatedtype Answer: Sendable

    /// Where it waits for its turn.
    static var lane: Lane { get }

    /// Jobs that it is about.
    var jobCount: Int { get }

    /// What it keeps in memory until it is answered, besides its fixed cost.
    var contentBytes: Int { get }

    /// Checks, then changes. A `SiloError` refuses the command and leaves no trace; a `StoreError` stops the shard.
    func run(in transaction: Transaction) async throws -> Answer
}

extension Command {
    public static var lane: Lane { .ordinary }
    public var jobCount: Int { 1 }
    public var contentBytes: Int { 0 }

    var weight: Weight {
        Weight(jobs: jobCount, bytes: Weight.commandBytes * max(1, jobCount) + Weight.copies * contentBytes)
    }
}

/// Several commands of one kind that are answered together, each on its own: one that is refused does not touch the others. They
/// may be spread over several turns, and meet what other callers did in between.
public struct Each<C: Command>: Sendable {
    public let commands: [C]

    public init(_ commands: [C]) {
        self.commands = commands
    }
}

/// The lines in which commands wait for the loop.
public enum Lane: Sendable {
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
