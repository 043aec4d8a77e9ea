import CBuildInfo
import CommandLineTool
import Foundation
import GRPC
import SiloAPI

// What the network library has to say is in the errors of the calls; GRPC_VERBOSITY asks for its own lines.
if ProcessInfo.processInfo.environment["GRPC_VERBOSITY"] == nil { CoreLog.setHandler { _ in } }

let builtFrom = ["commit " + String(cString: silo_build_commit()), "gRPC core " + CoreVersion.text]

await Program.run(usage, builtFrom: builtFrom) { arguments in
    let output = Output(arguments)
    let job = JobCommands(arguments: arguments, output: output)
    let shard = ShardCommands(arguments: arguments, output: output)
    switch arguments.command {
    case "cluster info": try await Watch.run(arguments) { try await showCluster(arguments, $0) }
    case "health": try await showHealth(arguments, output)
    case "counts": try await Watch.run(arguments) { try await showCounts(arguments, $0) }
    case "top": try await TopCommand(arguments, output).run()
    case "job get": try await GetJob(arguments: arguments, output: output).run()
    case "job result": try await JobResult(arguments: arguments, output: output).run()
    case "job explain": try await ExplainCommand(arguments: arguments, output: output).run()
    case "job import": try await ImportCommand(arguments: arguments, output: output).run()
    case "job cancel":
        try await job.change("cancelled", SiloV1.Silo.cancelJob) { $0.shard = $1; $0.id = $2; $0.tenant = $3 }
    case "job restart":
        try await job.change("restarted", SiloV1.Silo.restartJob) { $0.shard = $1; $0.id = $2; $0.tenant = $3 }
    case "job expedite":
        try await job.change("expedited", SiloV1.Silo.expediteJob) { $0.shard = $1; $0.id = $2; $0.tenant = $3 }
    case "job delete": try await job.delete()
    case "jobs cancel": try await BulkCommands(arguments: arguments, output: output).start(.cancel)
    case "jobs restart": try await BulkCommands(arguments: arguments, output: output).start(.restart)
    case "jobs expedite": try await BulkCommands(arguments: arguments, output: output).start(.expedite)
    case "jobs delete": try await BulkCommands(arguments: arguments, output: output).start(.delete)
    case "jobs actions":
        let commands = BulkCommands(arguments: arguments, output: output)
        try await Watch.run(arguments) { try await commands.list($0) }
    case "jobs action": try await BulkCommands(arguments: arguments, output: output).show()
    case "jobs stop": try await BulkCommands(arguments: arguments, output: output).stop()
    case "enqueue": try await enqueue(arguments, output)
    case "pause tenant", "pause group", "pause limit": try await PauseCommands(arguments, output).pause()
    case "resume tenant", "resume group", "resume limit": try await PauseCommands(arguments, output).resume()
    case "pauses": try await PauseCommands(arguments, output).list()
    case "workers": try await Watch.run(arguments) { try await WorkerCommands(arguments: arguments, output: $0).list() }
    case "worker quiet": try await WorkerCommands(arguments: arguments, output: output).set(isQuiet: true)
    case "worker resume": try await WorkerCommands(arguments: arguments, output: output).set(isQuiet: false)
    case "validate-config": try validateConfig(arguments, output)
    case "tenant locate": try await TenantCommands(arguments: arguments, output: output).locate()
    case "tenant hash": try TenantCommands(arguments: arguments, output: output).hash()
    case "tenant drop-holders": try await TenantCommands(arguments: arguments, output: output).dropHolders()
    case "query": try await QueryCommand(arguments: arguments, output: output).run()
    case "shard flush": try await shard.flush()
    case "shard compact": try await shard.compact()
    case "shard storage": try await shard.storage()
    case "shard configure": try await shard.configure()
    case "shard force-release": try await shard.forceRelease()
    case "shard split": try await SplitCommands(arguments: arguments, output: output).split()
    case "shard split-status": try await SplitCommands(arguments: arguments, output: output).status()
    case "profile": try await ProfileCommands(arguments: arguments, output: output).processor()
    case "heap-profile": try await ProfileCommands(arguments: arguments, output: output).heap()
    case "dump", "dump-tasks": try await ProfileCommands(arguments: arguments, output: output).dump()
    case "servers": try showServers(output)
    case "token new": try TokenCommand(arguments: arguments, output: output).make()
    case "token check": try TokenCommand(arguments: arguments, output: output).check()
    case "tenant drop": try await DropTenantCommand(arguments: arguments, output: output).run()
    case "log-level": try await logLevel(arguments, output)
    case "config show": try await showConfiguration(arguments, output)
    case "audit": try await AuditCommand(arguments: arguments, output: output).run()
    default: throw Arguments.Mistake("unknown command \(arguments.command)")
    }
}
