public import GRPC
public import SiloEngine

/// What a node is told at its start. The defaults make a server of one machine on local disk.
public struct NodeSettings: Sendable {
    /// Where it listens: `host:port`, port 0 for any free one.
    public var address = "127.0.0.1:7450"
    /// What it tells clients to call; nil: where it listens.
    public var advertisedAddress: String?
    /// A folder, a bucket or `memory:`; see `DataLocation`.
    public var data: String
    /// A folder on local disk for the shards' logs; nil: beside the data when that is a folder, else SlateDB keeps them in the
    /// bucket. Only who has it can open the shards, until they were closed.
    public var logFolder: String?
    /// Shards of a new data location; nil: 8 with tenancy, and without it 1, since all jobs are in one then. An existing location
    /// keeps what it has.
    public var shardCount: Int?
    /// Whether requests name tenants.
    public var tenancy = false
    /// Whether `ResetShards` may erase everything.
    public var isDevelopment = false
    /// The secret that callers must show; nil lets everybody in.
    public var authToken: String?
    /// Certificate and key to serve with; nil serves in plain text.
    public var tls: ServerTLS?
    /// Calls served at once; more are refused with RESOURCE_EXHAUSTED.
    public var concurrentCallsMax = 16_384
    /// How long calls may go on after the server was told to stop.
    public var drain = Duration.seconds(5)
    /// Memory for blocks read from storage, over all shards, in bytes.
    public var cacheBytes: UInt64 = 128 << 20
    /// Memory for rows that are in a log on local disk and not in sorted files yet, over all shards, in bytes.
    public var overlayBytes = 128 << 20
    /// The external rate limiter; nil: there is none.
    public var gubernator: GubernatorSettings?
    /// Numbers of every shard.
    public var engine = EngineSettings()
    /// SlateDB's own settings, for every shard; see `OpenOptions.settings`.
    public var storage: [String: String] = [:]

    var newShardCount: Int { shardCount ?? (tenancy ? 8 : 1) }

    public init(data: String) {
        self.data = data
        engine.auditMilliseconds = 60_000
    }
}
