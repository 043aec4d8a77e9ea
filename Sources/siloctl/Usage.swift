import CommandLineTool

let usage = Usage(
    "siloctl", "Looks at a Silo cluster and works on its jobs.",
    commands: [
        .init("cluster info", help: "the shards and who serves them", options: [Watch.option]),
        .init("health", help: "whether the server takes calls; needs no token, and fails when it does not", options: [
            .init("all-shards", help: "whether all of its shards do"),
        ]),
        .init("counts", help: "how many jobs each shard has", details: """
            Unfinished jobs wait or run. Leased is what workers hold: attempts, and refreshes of floating limits. Workers
            are calls that wait for work. Ghosts are slots of limits that are taken and that no job holds, by the last
            audit: anything but 0 is a bug.
            """, options: [Watch.option]),
        .init(
            "top", help: "what goes on, live: rates, waits, and tables of task groups, tenants, shards and workers",
            details: TopCommand.details, options: TopCommand.options),
        .init("job get", optional: "shard", ["id"], help: "a job and its status", details: GetJob.details, options: [
            .init("attempts", help: "also its attempts"),
            .init("payload", help: "its payload as a whole, however large"),
        ]),
        .init("job result", optional: "shard", ["id"], help: "how a finished job ended", options: [
            .init("format", "f", "hex|base64|msgpack", help: """
                how bytes are shown (msgpack, or hex where they are none; with --json hex); msgpack shows
                them as JSON, its dates in ISO 8601 and JavaScript's undefined as null, or undefined when
                that is all
                """),
        ]),
        .init("job explain", optional: "shard", ["id"], help: "why a job is not running now, and what is in its way"),
        .init("job import", ["file"], help: "store jobs that ran elsewhere, with their attempts", details: ImportCommand.details),
        .init("job cancel", optional: "shard", ["id"], help: "end a job for good; a running one is told to stop"),
        .init("job restart", optional: "shard", ["id"], help: "run a failed or cancelled job again"),
        .init("job expedite", optional: "shard", ["id"], help: "start now what waits for a later time"),
        .init(
            "job delete", optional: "shard", ["id"], help: "erase a finished job, its attempts and its result, for good",
            details: "A job that has not ended is refused: job cancel ends it first. One that is not there is no mistake."),
        .init(
            "jobs cancel", help: "end every job that meets a condition, for good", details: BulkCommands.details,
            options: BulkCommands.options),
        .init(
            "jobs restart", help: "run every failed or cancelled job again that meets one", details: BulkCommands.details,
            options: BulkCommands.options),
        .init(
            "jobs expedite", help: "start every job now that waits for a later time and meets one", details: BulkCommands.details,
            options: BulkCommands.options),
        .init(
            "jobs delete", help: "erase every finished job that meets one, for good", details: BulkCommands.details,
            options: BulkCommands.options),
        .init("jobs actions", help: "what is being done to many jobs, and what was in the last week", options: [
            .init("shard", nil, "id", help: "of this shard alone (all of the addressed server)"), Watch.option,
        ]),
        .init("jobs action", ["id"], help: "one of these: how far it has come, and what was refused", options: [
            BulkCommands.shard, BulkCommands.untilEnd,
        ]),
        .init(
            "jobs stop", ["id"], help: "end one of these where it is; what it has done stays done",
            options: [BulkCommands.shard]),
        .init(
            "enqueue", ["group", "json"], help: "store a job; its payload is the JSON text, - reads it from standard input",
            options: [
                .init("id", nil, "id", help: "the job's id (a random one)"),
                .init("priority", "p", "0..99", help: "0 first (50)"),
                .init("start-in", nil, "seconds", help: "not before that time from now (0)"),
                .init("retries", nil, "count", help: "attempts after the first (0)"),
                .init("keep", nil, "seconds", help: "how long it is kept after it has finished (as the server is set)"),
                .init("label", nil, "key=value", isList: true, help: "metadata; may be given several times"),
            ] + LimitOptions.usage),
        .init(
            "pause tenant",
            help: """
                let no job of the tenant start; what runs goes on (every job when
                the servers have tenancy off)
                """, options: [reason]),
        .init(
            "pause group", ["group"],
            help: """
                let no job of the task group start: of the tenant, or without
                --tenant of all tenants on all shards
                """, options: [reason]),
        .init("pause limit", ["key"], help: "let no job of the tenant start that needs a slot of the limit", options: [reason]),
        .init("resume tenant", help: "take a pause of the tenant back"),
        .init("resume group", ["group"], help: "take a pause of the task group back; give --tenant as when it was paused"),
        .init("resume limit", ["key"], help: "take a pause of the limit back"),
        .init("pauses", help: """
            what is paused on all shards, and why; with --tenant, what holds jobs of
            that tenant: its own pauses and those of groups of all tenants. A shard
            that does not answer is named
            """),
        .init("workers", help: "who asks for work, what each holds, and which are quiet", options: [
            .init("group", "g", "group", help: "those that ask for this task group"), Watch.option,
        ]),
        .init("worker quiet", ["id"], help: """
            give a worker nothing new, such as before a deploy; what it holds goes on. The
            servers remember it until they stop, or the worker was silent for an hour
            """),
        .init("worker resume", ["id"], help: "give a quiet worker work again"),
        .init("tenant locate", ["tenant"], help: "which shard has the tenant's jobs, and who serves it"),
        .init("token new", help: """
            make a token for a server's tokens file; asks nobody
            """, details: TokenCommand.details, options: TokenCommand.options),
        .init("token check", ["file"], help: "whether a server could use a tokens file, and what is in it; asks nobody"),
        .init("log-level", help: """
            which log lines the addressed server writes
            """, options: [
                .init("set", nil, "filter", help: """
                    which it writes from now on, such as info,storage=debug;
                    default: as it was started
                    """),
            ]),
        .init("config show", help: """
            what is set on the addressed server, by which means, and what waits for its next start
            """, options: [
                .init("changed", help: "only what somebody set"),
                .init("name", nil, "text", help: "only settings whose key has this in it"),
            ]),
        .init("audit", help: """
            what administrators did on the addressed server and who was refused, newest first
            """, details: AuditCommand.details, options: AuditCommand.options),
        .init("tenant hash", ["tenant"], help: "where a tenant lies in the routing space; asks nobody"),
        .init(
            "tenant drop", ["tenant"], help: "delete everything of a tenant, for ever",
            details: """
                Its running jobs are lost. Until all is deleted its calls are refused; then it can be used anew. It goes on when
                the command is broken off, or the server: the same command shows how far it has come, and fails when nothing of
                the tenant is left. Where the servers have tenancy off, - is the tenant of all jobs.
                """,
            options: [.init("yes", "y", help: "do not ask; needed where there is no terminal to ask at")]),
        .init("tenant drop-holders", help: """
            free every slot of every limit that the tenant holds, or of one; without
            --tenant, when the servers have tenancy off, every slot of every job
            """, details: """
            Attempts that run go on, so that for a while more may run than the limits allow. A remedy for slots whose holders are
            gone for good: job explain names who holds them.
            """, options: [
                .init("key", "k", "key", help: "only those of this concurrency or floating limit"),
                .init("yes", "y", help: "do not ask; needed where there is no terminal to ask at"),
            ]),
        .init(
            "query", optional: "shard", ["sql"], mayLackOperands: true,
            help: "run an SQL statement over all shards or one; without one a prompt", details: QueryCommand.details,
            options: QueryCommand.options),
    ] + shardCommands + [
        .init("profile", help: "where the processor time of the server goes, for pprof", details: """
            Of the server at --address itself; one profile at a time. The file is compressed when its name ends in .gz.
            """, options: [duration, seconds,
            .init("frequency", "f", "1..1000", help: "samples in a second (100)"),
            .init("output", "o", "file", help: "where to (profile-TIME.pb.gz)"),
        ]),
        .init("heap-profile", help: "what the server allocates and keeps meanwhile, for jeprof and pprof", details: """
            Of the server at --address itself; one profile at a time. The file may hold parts of payloads: keep it from others.
            """, options: [duration, seconds, .init("output", "o", "file", help: "where to (heap-profile-TIME.heap)")]),
        .init("dump", help: "what each shard of the server does at this moment"),
        .init("dump-tasks", help: "the same, as the protocol names it"),
        .init(
            "validate-config", ["file"], mayLackOperands: true, help: "check a server's configuration file; asks nobody",
            details: """
                The file may stand by itself or behind --config. Files that it names, such as certificates, are looked at too, as
                whoever runs this may read them. Of the settings of the storage engine each is checked by itself; that two do not
                go together, such as a max_unflushed_bytes that is not above l0_sst_size_bytes, the server finds when it opens its
                shards.
                """, options: [.init("config", "c", "file", help: "the file")]),
        .init("servers", help: "the servers that have names", details: """
            $XDG_CONFIG_HOME/silo/siloctl.toml, or else ~/.config/silo/siloctl.toml, gives them names, in TOML with texts alone:

            \(ServersFile.example)

            All but the address may be left out; files lie beside this one unless they begin with / or ~/. `default` is meant when
            neither --server, SILO_SERVER nor --address names one.
            """),
        .completion,
    ],
    options: [
        .init("address", "a", "url", help: """
            any server of the cluster (http://localhost:7450); https:// means TLS,
            with the system's authorities unless --tls-ca names others
            """),
        .init(
            "server", "s", "name", help: "the same by its name; siloctl servers --help tells more (environment SILO_SERVER)",
            values: { (try? ServersFile.standard())?.entries.keys.sorted() ?? [] }),
        .init("tenant", "t", "id", help: "whose jobs; needed when the servers have tenancy on"),
        .init(
            "auth-token-file", nil, "file",
            help: "a file with your token, or the servers' secret (environment SILO_AUTH_TOKEN holds it itself)"),
        .init(
            "auth-token", nil, "secret",
            help: "the secret itself, which other users of this machine can then see, in ps for one"),
        .init("tls-ca", nil, "file", help: "connect with TLS and trust this authority, PEM"),
        .init("tls-cert", nil, "file", help: "show this certificate to the server, PEM"),
        .init("tls-key", nil, "file", help: "its private key, PEM"),
        .init("json", help: "print JSON"),
        .init("utc", help: "times in UTC instead of the local zone"),
        .init("iso", help: "times in ISO 8601, to the millisecond"),
    ],
    notes: """
        A job is named by its id, and by its tenant when the servers have tenancy on; its shard may stand before the id.
        Exit codes: 0 done; 1 it failed, and standard error says why; 2 the command line is wrong.
        Colours are for terminals alone; NO_COLOR in the environment leaves them away.
        """,
    liveValues: LiveValues.offer
)

private let shardCommands: [Usage.Command] = [
    .init("shard flush", ["shard"], help: "write what is in memory and in the log to sorted files"),
    .init("shard compact", ["shard"], help: "merge all sorted files into one, which frees what was deleted"),
    .init("shard storage", ["shard"], help: "how many sorted files a shard has, and how large"),
    .init("shard split", ["shard"], help: "split a shard in two \(ofClusters)", options: [
        .init("at", nil, "tenant", help: "before this tenant's place"),
        .init("at-hash", nil, "hash", help: "at this place, 16 hexadecimal digits"),
        .init("auto", help: "in the middle"),
        .init("wait", help: "until it is done"),
    ]),
    .init("shard split-status", ["shard"], help: "how far a split has come \(ofClusters)"),
    .init("shard configure", ["shard"], help: "move a shard to a placement ring \(ofClusters)", options: [
        .init("ring", nil, "name", help: "which (the default one)"),
        .init("allow-unpopulated-ring", help: "also when no server is in it"),
    ]),
    .init("shard force-release", ["shard"], help: "take a shard away from whoever has it \(ofClusters)"),
]

private let ofClusters = "(clusters only; this server answers that it cannot)"

private let duration = Usage.Option("duration", "d", "1..300", help: "how many seconds (30)")
private let seconds = Usage.Option("seconds", nil, "1..300", help: "the same")

private let reason = Usage.Option("reason", nil, "text", help: "why, for whoever asks; up to 1024 bytes")
