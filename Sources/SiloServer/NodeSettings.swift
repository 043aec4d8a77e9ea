public import GRPC
public import SiloEngine
package import SiloService
public import SiloTelemetry

/// What a node is told at its start. The defaults make a server of one machine on local disk.
public struct NodeSettings: Sendable {
    /// Where it listens: `host:port`, port 0 for any free one.
    public var address = "127.0.0.1:7450"
    /// What it tells clients to call; nil: where it listens.
    public var advertisedAddress: String?
    /// What it is called; nil: by a name of chance.
    public var nodeID: String?
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
    /// A file of tokens with roles, which is read anew when it changes; nil: there is none.
    public var tokensFile: String?
    /// For what administrators do and who was refused; nil: nothing is written down.
    public var auditLog: AuditPlace?
    /// Certificate and key to serve with; nil serves in plain text.
    public var tls: ServerTLS?
    /// The files that it is kept in, which are read anew when they change; nil: it stays as it is.
    public var tlsFiles: TLSFiles?
    /// Calls served at once; more are refused with RESOURCE_EXHAUSTED.
    public var concurrentCallsMax = 16_384
    /// What messages call them.
    public var names = SettingNames()
    /// What runs, as the program tells it.
    public var version = ""
    /// The versions of what it was built from, by their names.
    public var builtFrom: [String: String] = [:]
    /// Where the port for operators listens: metrics, health and readiness; nil: nowhere, and nothing is measured. With TLS where
    /// calls have it. A port that cannot be had is told in the log, and done without.
    public var metricsAddress: String?
    /// Whether the web page is served there too.
    public var hasWebPage = true
    /// How long somebody who signed in there stays so.
    public var webSessionMilliseconds: Int64 = 12 * 3_600_000
    /// How long calls may go on after the server was told to stop.
    public var drain = Duration.seconds(5)
    /// Memory for blocks read from storage, over all shards, in bytes.
    public var cacheBytes: UInt64 = 128 << 20
    /// Memory of each shard for blocks, and for indexes and filters, in bytes; nil: its share of `cacheBytes`.
    public var blockCacheBytes: UInt64?
    public var metadataCacheBytes: UInt64?
    /// Memory for rows that are in a log on local disk and not in sorted files yet, over all shards, in bytes.
    public var overlayBytes = 128 << 20
    /// The time between two compactions of all files of each shard; nil: they are merged when it is worth while.
    public var fullCompactionMilliseconds: Int64?
    /// How much data there may be before new jobs are refused.
    public var maxData = MaxData.standard
    /// The external rate limiter; nil: there is none.
    public var gubernator: GubernatorSettings?
    /// Which log lines are written; nil: as the logger was made.
    public var logFilter: LogFilter?
    /// What SQL statements may use.
    package var queries = QuerySettings()
    /// Numbers of every shard.
    public var engine = EngineSettings()
    /// SlateDB's own settings, for every shard; see `OpenOptions.settings`.
    public var storage: [String: String] = [:]

    var newShardCount: Int { shardCount ?? (tenancy ? 8 : 1) }

    public init(data: String) {
        self.data = data
        engine.auditMilliseconds = 60_000
        engine.housekeepingMilliseconds = 1000
        engine.housekeepingPauseMilliseconds = 5
    }
}
