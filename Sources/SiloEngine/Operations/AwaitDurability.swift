/// Changes nothing; like every command it is answered when all that was written before it is durable.
struct AwaitDurability: Command {
    func run(in transaction: Transaction) async throws {}
}
