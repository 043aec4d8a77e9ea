import SiloStore

@testable import SiloEngine

/// Runs a command and gives the lines of its answer.
typealias ScenarioStep = (ScenarioWorld) async throws -> [String]

/// Reads commands. What each may say stands where it is read.
enum ScenarioCommands {
    static func step(_ block: Scenario.Block) throws(ScenarioError) -> ScenarioStep {
        var arguments = try ScenarioArguments(String(block.input[0]), line: block.line)
        let step = try step(&arguments, block)
        try arguments.finish()
        let takesLines = ["enqueue-all", "enqueue-each", "together"].contains(arguments.command)
        guard takesLines || block.input.count == 1 else { throw arguments.error("it takes one line; is `----` missing?") }
        return step
    }

    private static func step(
        _ arguments: inout ScenarioArguments, _ block: Scenario.Block
    ) throws(ScenarioError) -> ScenarioStep {
        switch arguments.command {
        case "enqueue": try enqueue(&arguments)
        case "enqueue-all", "enqueue-each": try enqueueSeveral(arguments, block)
        case "together": try together(block)
        case "lease": try lease(&arguments)
        case "run": try run(&arguments)
        case "lease-job", "cancel", "restart", "expedite", "delete", "explain", "attempts": try job(&arguments)
        case "report": try report(&arguments)
        case "refresh": try refresh(&arguments)
        case "heartbeat": try heartbeat(&arguments)
        case "give-back": try giveBack(&arguments)
        case "pause", "resume": try pause(&arguments)
        case "drop-holders": dropHolders(&arguments)
        case "drop-tenant": dropTenant(&arguments)
        case "keep-house": try keepHouse(&arguments)
        case "pass": try pass(&arguments)
        case "settle", "crash", "counts", "rows": try shard(&arguments)
        default: throw ScenarioError(line: arguments.line, "unknown command \(arguments.command)")
        }
    }

    /// `open [tiny] [lease=10s] [passed-over=30s] [grants=1024] [window=8192] [page=512] [refreshes=16] [succeeded=10s]
    /// [failed=10s]`; with one of the last two, how long finished jobs are kept, the shard is kept in order by `keep-house`.
    static func opening(_ block: Scenario.Block) throws(ScenarioError) -> EngineSettings {
        var arguments = try ScenarioArguments(String(block.input[0]), line: block.line)
        var settings = EngineSettings()
        // Workers of scenarios send few heartbeats, and are meant to be heard all the same.
        settings.unheardLeasesMax = 0
        if let size = arguments.optionalWord() {
            guard size == "tiny" else { throw arguments.error("unknown word \(size)") }
            tiny(&settings)
        }
        if let lease = try arguments.length("lease") { settings.leaseMilliseconds = lease }
        if let time = try arguments.length("passed-over") { settings.passedOverMilliseconds = time }
        if let count: Int = try arguments.number("grants") { settings.grantsMax = count }
        if let count: Int = try arguments.number("window") { settings.windowMax = count }
        if let count: Int = try arguments.number("page") { settings.pageRows = count }
        if let count: Int = try arguments.number("refreshes") { settings.refreshesPerLeaseMax = count }
        settings.retention.succeededMilliseconds = try arguments.length("succeeded")
        settings.retention.failedMilliseconds = try arguments.length("failed")
        if settings.retention != Retention() { settings.housekeepingMilliseconds = Bench.housekeeping }
        try arguments.finish()
        return settings
    }
}
