package import SiloCore
package import SiloEngine
package import SiloServer
import SiloStore
import SiloTelemetry
package import SiloTesting

/// One process of a simulated cluster: the production node without its network, on a simulated disk and wire.
package final class SimulatedNode: Sendable {
    package let address: String
    private let mount: SimulatedMount
    private let core: NodeCore
    private let wire: SimulatedWire

    private init(_ address: String, _ mount: SimulatedMount, _ core: NodeCore, _ wire: SimulatedWire) {
        self.address = address
        self.mount = mount
        self.core = core
        self.wire = wire
    }

    /// Opens what is on the disk, trying again while that fails, and serves it at `address`. Whoever served it before is fenced.
    package static func start(
        at address: String, on disk: SimulatedDisk, _ wire: SimulatedWire, _ settings: NodeSettings, in surroundings: Surroundings,
        rateLimiter: (any RateLimiter)? = nil
    ) async -> SimulatedNode {
        while true {
            let mount = disk.mount()
            do {
                let core = try await NodeCore.open(
                    in: SimulatedStorage(mount: mount), settings, address: address, surroundings: surroundings,
                    rateLimiter: rateLimiter, logger: Logger("simulation", filter: LogFilter("off"), write: { _ in })
                )
                wire.serve(core.methods, at: address)
                return SimulatedNode(address, mount, core, wire)
            } catch {
                mount.crash()
                try? await surroundings.clock.sleep(milliseconds: 500)
            }
        }
    }

    /// The process dies. What it has not made durable is gone, and its callers hear nothing more.
    package func crash() {
        wire.stop(at: address)
        mount.crash()
    }

    /// The process ends as it should.
    package func stop() async {
        wire.refuseCalls(at: address)
        core.dismissWaiters()
        wire.stop(at: address)
        await core.close()
    }
}

/// Databases on a simulated disk.
private struct SimulatedStorage: NodeStorage {
    let mount: SimulatedMount

    func open(_ name: String, mustExist: Bool) async throws -> any KeyValueStore {
        try await mount.open(name, mustExist: mustExist)
    }

    func erase(_ name: String) async throws { mount.erase(name) }
}
