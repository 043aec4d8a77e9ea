import SiloService

/// What of a node tells how it stands.
struct NodeParts: Sendable {
    let identity: NodeIdentity
    let shards: ShardSet
    /// Nil: there is always room.
    let room: DataGuard?
}
