import CommandLineTool
import SiloConfiguration

/// What `silo --help` shows: the options of the table of settings, and those of the program itself.
let usage = Usage(
    "silo", "Serves a durable job queue over gRPC. With no options it keeps its data on local disk.",
    commands: [
        .init(
            "", help: "",
            options: [
                .init("config", "c", "file", help: "read settings from this TOML file (docs/configuration.md)"),
                .init("print-config", help: "show what is in force, without secrets, and end"),
            ] + Configuration.options + [
                .init("verbose", "v", help: "also log debug lines")
            ]),
        .completion,
    ],
    notes: """
        An option overrides the environment, which overrides the file, which overrides the default.
        Stop it with SIGTERM or SIGINT: it takes no more calls, lets running ones end, and closes its shards.
        SIGHUP reads the file, and the files it names, anew: the log says what changed and what needs a restart.
        Log lines go to standard output; SILO_LOG filters them, for example SILO_LOG=warn,shard=debug.
        """
)
