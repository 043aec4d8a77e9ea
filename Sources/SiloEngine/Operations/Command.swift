import SiloCore

/// One change of a shard. Commands run one after another; each is all or nothing.
public protocol Command: Sendable {
    associatedtype Answer: Sendable

    /// Bytes that the command keeps in memory until it is answered.
    var payloadBytes: Int { get }

    /// Checks, then changes. A `SiloError` refuses the command and leaves no trace; a `StoreError` stops the shard.
    func run(in transaction: Transaction) async throws -> Answer
}

extension Command {
    public var payloadBytes: Int { 0 }
}
