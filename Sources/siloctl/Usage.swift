import CommandLineTool

let usage = Usage(
    "siloctl", "Looks at a Silo cluster and works on its jobs.",
    commands: [
        .init("cluster info", help: "the shards and who serves them"),
        .init("job get", ["shard", "id"], help: "a job and its status", options: [
            .init("attempts", help: "also its attempts"),
        ]),
        .init("job result", ["shard", "id"], help: "how a finished job ended", options: [
            .init("format", "f", "hex|base64|msgpack", help: """
                how bytes are shown (hex); msgpack shows them as JSON, its dates in
                ISO 8601 and JavaScript's undefined as null, or undefined when that is all
                """),
        ]),
        .init("job explain", ["shard", "id"], help: "why a job is not running now, and what is in its way"),
        .init("job import", ["file"], help: "store jobs that ran elsewhere, with their attempts", details: ImportCommand.details),
        .init("job cancel", ["shard", "id"], help: "end a job for good; a running one is told to stop"),
        .init("job restart", ["shard", "id"], help: "run a failed or cancelled job again"),
        .init("job expedite", ["shard", "id"], help: "start now what waits for a later time"),
        .init("job delete", ["shard", "id"], help: "erase a finished job"),
        .init(
            "enqueue", ["group", "json"], help: "store a job; its payload is the JSON text, - reads it from standard input",
            options: [
                .init("id", nil, "id", help: "the job's id (a random one)"),
                .init("priority", "p", "0..99", help: "0 first (50)"),
                .init("start-in", nil, "seconds", help: "not before that time from now (0)"),
                .init("retries", nil, "count", help: "attempts after the first (0)"),
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
            that tenant: its own pauses and those of groups of all tenants
            """),
        .init("tenant hash", ["tenant"], help: "where a tenant lies in the routing space; asks nobody"),
        .init("tenant drop-holders", help: """
            free every slot of every limit that the tenant holds; without --tenant,
            when the servers have tenancy off, every slot of every job
            """, details: """
            Attempts that run go on, so that for a while more may run than the limits allow. A remedy for slots that seem to be
            lost: job explain names who holds them.
            """),
    ],
    options: [
        .init("address", "a", "url", help: """
            any server of the cluster (http://localhost:7450); https:// means TLS,
            with the system's authorities unless --tls-ca names others
            """),
        .init("tenant", "t", "id", help: "whose jobs; needed when the servers have tenancy on"),
        .init(
            "auth-token-file", nil, "file",
            help: "a file with the servers' secret (environment SILO_AUTH_TOKEN holds it itself)"),
        .init(
            "auth-token", nil, "secret",
            help: "the secret itself, which other users of this machine can then see, in ps for one"),
        .init("tls-ca", nil, "file", help: "connect with TLS and trust this authority, PEM"),
        .init("json", help: "print JSON"),
    ]
)

private let reason = Usage.Option("reason", nil, "text", help: "why, for whoever asks; up to 1024 bytes")
