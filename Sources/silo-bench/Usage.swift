import CommandLineTool

let loadUsage = Usage(
    "silo-bench", "Puts a closed loop of load on a Silo server: enqueue, lease, report.",
    commands: [
        .init(
            "", help: "",
            options: [
                .init("address", "a", "url", help: "any server of the cluster (http://localhost:7450)"),
                .init(
                    "mode", nil, "grpc|library|inprocess",
                    help: "load a server with bare calls (grpc) or as an\napplication of the client library does, whose workers\n"
                        + "are tasks in hand; or load a shard in this process"),
                .init("data", nil, "folder", help: "where the shard in this process lies\n(a fresh folder, removed in the end)"),
                .init("workers", "w", "count", help: "polling loops (8)"),
                .init("enqueuers", "e", "count", help: "enqueue loops (4)"),
                .init("duration-secs", "d", "seconds", help: "how long to enqueue (30)"),
                .init("max-tasks-per-poll", nil, "count", help: "tasks that a worker asks for (4)"),
                .init(
                    "batch", nil, "count",
                    help: "jobs in one enqueue call; above 1 a worker also reports\nall it leased in one call (1)"),
                .init("backlog", nil, "count", help: "jobs between enqueue and report at any time (10000)"),
                .init("channels", nil, "count", help: "connections to each server (1)"),
                .init("payload-bytes", nil, "bytes", help: "size of a job's payload (200)"),
                .init("tenant-count", "t", "count", help: "tenants; with 1 none is named, for a server without\n--tenancy (1)"),
                .init("tenant-prefix", nil, "name", help: "tenants are <name>-0 and so on (bench)"),
                .init("imbalance-factor", nil, "ratio", help: "weight of the first tenant relative to the last (1.0)"),
                .init("report-interval-secs", nil, "seconds", help: "time between progress lines (1)"),
                .init("structured-logging", nil, nil, help: "progress as JSON lines"),
                .init("json", nil, nil, help: "totals as a JSON object; progress goes to standard error"),
                .init("auth-token", nil, "secret", help: "what the server asks for (environment SILO_AUTH_TOKEN)"),
            ])
    ],
    notes: """
        Latencies are in milliseconds, from every call. That of a lease counts from asking to having tasks. The client library
        makes its calls out of sight; it sends what many tasks do together: --mode library -e 128 -w 512 --backlog 512.
        The finished jobs stay in the server, as long as it keeps such: load one that is for trying.
        silo-bench suite measures a server that it starts itself against Silo's targets: see silo-bench suite --help.
        """
)

let askUsage = Usage(
    "silo-bench", "Asks one statement of a Silo server again and again.",
    commands: [
        .init(
            "ask", ["shard", "sql"], help: "One caller, one call after another; prints the latencies as a JSON object.",
            options: [
                .init("address", "a", "url", help: "the server (http://localhost:7450)"),
                .init("tenant", "t", "name", help: "whose rows the statement sees"),
                .init("get-job", nil, "id", help: "also gets this job after each statement"),
                .init("count", "c", "calls", help: "calls that are measured (200)"),
            ])
    ]
)

let suiteUsage = Usage(
    "silo-bench", "Measures Silo against its targets, on this machine.",
    commands: [
        .init(
            "suite",
            help: """
                Starts servers of its own on fresh folders, measures, stops them and removes the folders.
                Prints a table, and as the last line BENCH and a JSON object.
                """,
            options: [
                .init("server", nil, "file", help: "the server program (silo, beside this one)"),
                .init(
                    "data", nil, "folder",
                    help: "where to make the folders (.build here, or the one for temporary\nfiles); it must be on a disk"),
                .init("quick", nil, nil, help: "short windows, and a tenth of the waiting jobs"),
                .init(
                    "only", nil, "names",
                    help:
                        "some parts, with commas between them; those about limits\nrun only when they are named:\n"
                        + "\(Suite.Part.allCases.map(\.rawValue).joined(separator: ", "))"
                ),
            ]
        )
    ]
)
