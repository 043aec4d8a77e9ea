import SiloStore

/// Changes nothing; like every command it is answered when all that was written before it is durable.
struct AwaitDurability: Query {
    func check(_ view: View) async throws(Refusal) {}
}
