import SiloStore

/// Changes nothing; like every command it is answered when all that was written before it is durable.
struct AwaitDurability: Duty {
    func run(in transaction: Transaction) async throws(StoreError) {}
}
