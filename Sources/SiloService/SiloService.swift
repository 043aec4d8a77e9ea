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
    package let diagnostics: DiagnosticsOperations
    package let tenants: TenantOperations
    package let queries: QueryOperations
    package let lists: ListOperations
    package let bulk: BulkOperations
    package let census: CensusOperations
    package let configuration: ConfigurationOperations
    package let audit: AuditOperations

    /// - Parameters:
    ///   - storage: for what operators ask of the storage beneath; nil where there is none to ask.
    ///   - room: says whether new jobs are taken.
    ///   - isDevelopment: whether what is dangerous elsewhere may be called.
    ///   - queries: what a statement may use, and how many run at once.
    ///   - queryEvents: whoever is told of statements.
    ///   - overview: what the node counts.
    ///   - profiler: looks into this process; nil: nothing does.
    ///   - tracer: records what is done for callers that trace; nil: nothing does.
    ///   - configuration: tells what is set; nil: nobody knows.
    ///   - audit: what administrators did; nil: nothing is written down.
    package init(
        shards: any Shards, node: NodeIdentity, storage: (any StorageOperator)?, tenancy: Tenancy, leaseMilliseconds: Int64,
        isDevelopment: Bool, room: any DataRoom = EndlessRoom(), environment: Environment, profiler: (any Profiler)?,
        tracer: RecordingTracer? = nil, queries settings: QuerySettings = QuerySettings(),
        queryEvents: any QueryEvents = NoQueryEvents(), overview: any NodeOverview = NoOverview(),
        configuration: (any ConfigurationSource)? = nil, audit: AuditLog? = nil, logger: Logger
    ) {
        let shards = ShardResolver(shards, environment)
        let registry = WorkerRegistry(clock: environment.clock)
        jobs = JobOperations(shards: shards, tenancy: tenancy, room: room, tracer: tracer)
        workers = WorkerOperations(
            shards: shards, tenancy: tenancy, random: environment.random, leaseMilliseconds: leaseMilliseconds,
            isDevelopment: isDevelopment, tracer: tracer, registry: registry
        )
        census = CensusOperations(shards: shards, registry: registry)
        self.configuration = ConfigurationOperations(source: configuration)
        self.audit = AuditOperations(log: audit)
        limits = LimitOperations(shards: shards, tenancy: tenancy)
        pauses = PauseOperations(shards: shards, tenancy: tenancy)
        imports = ImportOperations(shards: shards, tenancy: tenancy, room: room)
        admin = AdminOperations(shards: shards, storage: storage, isDevelopment: isDevelopment, logger: logger)
        tenants = TenantOperations(shards: shards, tenancy: tenancy, logger: logger)
        cluster = ClusterOperations(shards: shards, node: node, tenancy: tenancy, registry: registry, overview: overview)
        diagnostics = DiagnosticsOperations(shards: shards, environment: environment, profiler: profiler, logger: logger)
        lists = ListOperations(shards: shards, tenancy: tenancy, environment: environment)
        queries = QueryOperations(
            shards: shards, tenancy: tenancy, environment: environment, settings: settings, events: queryEvents, logger: logger)
        bulk = BulkOperations(shards: shards, tenancy: tenancy, environment: environment, queries: queries, logger: logger)
    }
}
