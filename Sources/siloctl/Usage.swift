import CommandLineTool

let usage = Usage(
    "siloctl", "Looks at a Silo cluster and works on its jobs.",
    commands: [
        .init("cluster info", help: "the shards and who serves them"),
        .init("job get", ["shard", "id"], help: "a job and its status", options: [
            .init("attempts", help: "also its attempts"),
        ]),
        .init("job result", ["shard", "id"], help: "how a finished job ended", options: [
            .init("format", "f", "hex|base64|msgpack", help: "how bytes are shown (hex); msgpack shows them as JSON"),
        ]),
        .init("job cancel", ["shard", "id"], help: "end a job for good; a running one is told to stop"),
        .init("job restart", ["shard", "id"], help: "run a failed or cancelled job again"),
        .init("job expedite", ["shard", "id"], help: "start now what waits for a later time"),
        .init("job delete", ["shard", "id"], help: "erase a finished job"),
        .init("enqueue", ["group", "json"], help: "store a job; its payload is the JSON text, - reads it from standard input", options: [
            .init("id", nil, "id", help: "the job's id (a random one)"),
            .init("priority", "p", "0..99", help: "0 first (50)"),
            .init("start-in", nil, "seconds", help: "not before that time from now (0)"),
            .init("retries", nil, "count", help: "attempts after the first (0)"),
            .init("label", nil, "key=value", help: "metadata; several are separated by commas"),
        ]),
        .init("tenant hash", ["tenant"], help: "where a tenant lies in the routing space; asks nobody"),
    ],
    options: [
        .init("address", "a", "url", help: "any server of the cluster (http://localhost:7450)"),
        .init("tenant", "t", "id", help: "whose jobs; needed when the servers have tenancy on"),
        .init("auth-token", nil, "secret", help: "the servers' secret (environment SILO_AUTH_TOKEN)"),
        .init("tls-ca", nil, "file", help: "connect with TLS and trust this authority, PEM"),
        .init("json", help: "print JSON"),
    ]
)
