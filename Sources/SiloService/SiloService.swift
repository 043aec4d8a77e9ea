package import SiloCore
import SiloEngine
package import SiloTelemetry

/// Every operation of Silo, from a request that was decoded to its answer, for whatever brings requests in: gRPC, a web page,
/// another node. Nothing in this module knows of a transport.
///
/// An operation is a function of a request and a `RequestContext` that answers or throws a `SiloError`. It has one of two shapes:
/// those on the way of every job begin on the caller's thread, never block it, and answer a `Reply` later, from any thread; the
/// others are `async`. `awaitAnswer` makes the first look like the second.
package struct Operations: Sendable {
    package let jobs: JobOperations
    package let workers: WorkerOperations
    package let limits: LimitOperations
    package let pauses: PauseOperations
    package let imports: ImportOperations
    package let admin: AdminOperations
    package let cluster: ClusterOperations

    /// - Parameters:
    ///   - storage: for what operators ask of the storage beneath; nil where there is none to ask.
    ///   - isDevelopment: whether what is dangerous elsewhere may be called.
    package init(
        shards: any Shards, node: NodeIdentity, storage: (any StorageOperator)?, tenancy: Tenancy, leaseMilliseconds: Int64,
        isDevelopment: Bool, random: any RandomSource, logger: Logger
    ) {
        let shards = ShardResolver(shards)
        jobs = JobOperations(shards: shards, tenancy: tenancy)
        workers = WorkerOperations(
            shards: shards, tenancy: tenancy, random: random, leaseMilliseconds: leaseMilliseconds, isDevelopment: isDevelopment
        )
        limits = LimitOperations(shards: shards, tenancy: tenancy)
        pauses = PauseOperations(shards: shards, tenancy: tenancy)
        imports = ImportOperations(shards: shards, tenancy: tenancy)
        admin = AdminOperations(shards: shards, storage: storage, isDevelopment: isDevelopment, logger: logger)
        cluster = ClusterOperations(shards: shards, node: node)
    }
}
