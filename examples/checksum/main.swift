import CommandLineTool

let usage = Usage(
    "checksum", "Computes the SHA-256, size and line count of every file of a folder with Silo: one job a file.",
    commands: [
        .init("", help: "", options: [
            .init("directory", "d", "folder", help: "whose files (/usr/share/doc)"),
            .init("limit", nil, "count", help: "only that many files"),
            .init("workers", "w", "count", help: "worker processes (3)"),
            .init("fail-percent", nil, "0..100", help: "attempts that are made to fail, to be retried (5)"),
            .init("chaos", help: "kill the server and a worker twice on the way, and account for every file all the same"),
            .init("address", "a", "host:port", help: "use this server; by default the one on 127.0.0.1:7450, or a new one"),
        ]),
        .init("work", help: "be one of the worker processes", options: [
            .init("address", "a", "host:port", help: "the server"),
            .init("group", nil, "name", help: "the task group to work for"),
            .init("fail-percent", nil, "0..100", help: "attempts that are made to fail"),
        ]),
    ]
)

await Program.run(usage) { arguments in
    if arguments.command == "work" { try await work(arguments) } else { try await Run(arguments).run() }
}
