package import SiloClient
package import SiloCore
package import SiloTelemetry
package import SiloTesting

/// Everything that a simulation happens in, made from one seed: time, chance, disks, the network, and the order in which tasks
/// run. The same seed and the same body give the same run, to the last message.
///
///     let world = SimulatedWorld(seed: 1)
///     let results = try world.run {
///         let node = try await SimulatedNode.start(on: world.disk, at: "a:1", settings, in: world)
///         let client = world.client("a:1")
///         ...
///     }
package final class SimulatedWorld: Sendable {
    package let seed: UInt64
    package let clock: SimulatedClock
    package let executor: SeededExecutor
    /// What production code gets.
    package let environment: Environment
    /// For the simulation's own choices.
    package let random: SeededRandom
    package let trace: Trace
    package let wire: SimulatedWire
    package let disk: SimulatedDisk
    /// Of the servers; its lines go to the trace.
    package let logger: Logger

    package init(seed: UInt64, keeping extent: Trace.Extent = .all) {
        self.seed = seed
        // Each part has a chance of its own: what one asks for does not change what another gets.
        let seeds = SeededRandom(seed: seed)
        clock = SimulatedClock(seed: seeds.next())
        executor = SeededExecutor(seed: seeds.next(), clock: clock)
        environment = Environment(clock: clock, random: SeededRandom(seed: seeds.next()), executor: executor)
        random = SeededRandom(seed: seeds.next())
        let trace = Trace(clock, keeping: extent)
        self.trace = trace
        wire = SimulatedWire(seed: seeds.next(), clock: clock, trace: trace)
        disk = SimulatedDisk(seed: seeds.next(), clock: clock, trace: trace)
        // Without the real time, which each line begins with.
        logger = Logger("silo") { line in trace.note(line.split(separator: " ", maxSplits: 1).last.map(String.init) ?? line) }
        executor.onStandstill { [wire] in (["calls under way:"] + wire.runningCalls).joined(separator: "\n  ") }
    }

    /// What production code gets that runs on a machine with this clock.
    package func environment(_ clock: any Clock) -> Environment {
        Environment(clock: clock, random: environment.random, executor: executor)
    }

    /// Runs `body` and everything that it starts, on this thread.
    /// - Parameter timeMax: simulated milliseconds that it may take.
    package func run<Value: Sendable>(
        timeMax: Int64 = 24 * 3_600_000, _ body: @escaping @Sendable () async throws -> Value
    ) throws -> Value {
        try executor.run(timeMax: timeMax, body)
    }

    /// - Parameter caller: names it to the wire.
    package func client(
        _ servers: String..., caller: String? = nil, change: (inout ClientOptions) -> Void = { _ in }
    ) -> Client {
        var options = ClientOptions(servers: servers)
        change(&options)
        return Client(options, in: environment) { [wire] address in wire.transport(to: address, for: caller) }
    }
}
