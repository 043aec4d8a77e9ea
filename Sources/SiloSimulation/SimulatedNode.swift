package import SiloCore
package import SiloEngine
package import SiloServer
package import SiloTesting
import SiloStore
import Synchronization

extension SimulatedMount: NodeStorage {}

/// A production node on a simulated disk and wire: one process, which may die.
package final class SimulatedNode: Sendable {
    package let address: String
    /// Of its machine; nil: the true time.
    let clock: SkewedClock?
    private let core: NodeCore
    private let mount: SimulatedMount
    private let world: SimulatedWorld

    private init(
        _ core: NodeCore, _ mount: SimulatedMount, at address: String, clock: SkewedClock?, in world: SimulatedWorld
    ) {
        self.core = core
        self.mount = mount
        self.address = address
        self.clock = clock
        self.world = world
    }

    /// Opens what is on the disk and serves it.
    /// - Parameters:
    ///   - settings: storage, address and TLS do not count.
    ///   - clock: of its machine; nil: the true time.
    package static func start(
        on disk: SimulatedDisk, at address: String, _ settings: NodeSettings, in world: SimulatedWorld,
        clock: SkewedClock? = nil, rateLimiter: (any RateLimiter)? = nil,
        events: @escaping @Sendable (ShardID) -> any EngineEvents = { _ in NoEvents() }
    ) async throws -> SimulatedNode {
        let mount = disk.mount(clock ?? world.clock)
        let core = try await NodeCore.open(
            in: mount, settings, address: address, environment: world.environment(clock ?? world.clock),
            rateLimiter: rateLimiter, logger: world.logger, events: events
        )
        world.wire.serve(core.methods, at: address)
        return SimulatedNode(core, mount, at: address, clock: clock, in: world)
    }

    /// Dies: its calls break off, and the disk keeps what was durable.
    package func kill() {
        world.wire.stop(at: address)
        mount.crash()
        // Nothing that it still does has an effect; this only ends its tasks.
        world.environment.start { [core] in await core.close() }
    }

    /// Stops as the production node does: takes no more calls, lets those that run end, and closes its shards.
    package func stop(drainTime: Duration = .seconds(5)) async {
        core.beginDraining()
        world.wire.refuseCalls(at: address)
        core.dismissWaiters()
        let begun = world.clock.microseconds
        let (seconds, attoseconds) = drainTime.components
        let end = begun + seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        while world.clock.microseconds < end, world.wire.hasCalls(at: address) { await world.clock.pause(microseconds: 5000) }
        world.wire.stop(at: address)
        await core.close()
    }
}
