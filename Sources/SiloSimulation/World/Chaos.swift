import SiloCore
import SiloTesting

/// What goes wrong with storage, network and processes, one thing after another.
struct Chaos {
    private let world: World
    private let random: SeededRandom
    private var scenario: Scenario { world.scenario }

    init(_ world: World) {
        self.world = world
        random = SeededRandom(seed: world.scenario.seed &* 131)
    }

    func run(until end: Timestamp) async {
        world.disk.faults = scenario.disk
        world.wire.faults = scenario.wire
        async let _: Void = setClocks(until: end)
        while world.clock.now < end, world.violations.isEmpty {
            try? await world.clock.sleep(milliseconds: 1000 + Int64(random.below(15_000)))
            switch random.below(7) {
            case 0 where scenario.has(.crashes): await crash()
            case 1 where scenario.has(.fencing): await takeOver()
            case 2 where scenario.has(.storeErrors): await failStorage()
            case 3 where scenario.has(.wireFaults): await failWire()
            case 4 where scenario.has(.wireFaults): await cutOff()
            case 5 where scenario.has(.external): await failLimiter()
            case 6 where scenario.has(.freezes): await freeze()
            default: break
            }
        }
    }

    /// The wall clock of the machine that serves is set forwards or back, by a little or by up to an hour.
    private func setClocks(until end: Timestamp) async {
        guard scenario.has(.clockSteps) else { return }
        let random = SeededRandom(seed: scenario.seed &* 977)
        while world.clock.now < end, world.violations.isEmpty {
            try? await world.clock.sleep(milliseconds: 2000 + Int64(random.below(20_000)))
            let reach = random.chance(30) ? 3_600_000 : 20_000
            let ahead = Int64(random.below(2 * reach + 1) - reach)
            guard let node = world.node, world.clock.now < end else { continue }
            world.trace.note("chaos: the clock of \(node.address) is set to be \(ahead) ms ahead")
            node.clock?.set(aheadMilliseconds: ahead)
        }
    }

    private func crash() async {
        guard let node = world.node else { return }
        world.trace.note("chaos: \(node.address) crashes")
        world.crash(node)
        try? await world.clock.sleep(milliseconds: Int64(random.below(5000)))
        await world.startNode(at: random.chance(50) ? node.address : World.addresses[random.below(2)])
    }

    /// Another process opens the shards while the first still serves them, and the first dies later.
    private func takeOver() async {
        guard let old = world.node else { return }
        let address = World.addresses.first { $0 != old.address } ?? ""
        world.trace.note("chaos: \(address) takes over from \(old.address)")
        await world.startNode(at: address)
        try? await world.clock.sleep(milliseconds: Int64(random.below(8000)))
        world.crash(old)
    }

    /// The process is stopped and goes on; another one may have taken over meanwhile.
    private func freeze() async {
        guard let node = world.node else { return }
        world.trace.note("chaos: \(node.address) is stopped")
        node.freeze()
        try? await world.clock.sleep(
            milliseconds: random.chance(50) ? Int64(random.below(3000)) : Int64(8000 + random.below(20_000)))
        let isReplaced = scenario.has(.fencing) && random.chance(20)
        if isReplaced { await world.startNode(at: World.addresses.first { $0 != node.address } ?? "") }
        node.goOn()
        guard isReplaced else { return }
        try? await world.clock.sleep(milliseconds: Int64(random.below(8000)))
        world.crash(node)
    }

    private func failStorage() async {
        world.trace.note("chaos: storage fails now and then")
        world.disk.faults.readErrors = random.chance(50) ? 0.02 : 0
        world.disk.faults.writeErrors = 0.05
        world.disk.faults.flushErrors = 0.05
        world.disk.faults.openErrors = 0.2
        if random.chance(30) { world.disk.faults.flushLatency = SimulatedDisk.Latency(share: 1, microseconds: 5000...3_000_000) }
        try? await world.clock.sleep(milliseconds: Int64(random.below(10_000)))
        world.disk.faults = scenario.disk
        world.trace.note("chaos: storage works")
    }

    private func failWire() async {
        world.trace.note("chaos: messages are lost")
        world.wire.faults.lostRequests = 0.05
        world.wire.faults.lostAnswers = 0.05
        world.wire.faults.duplicates = 0.05
        world.wire.faults.slow = 0.05
        try? await world.clock.sleep(milliseconds: Int64(random.below(15_000)))
        world.wire.faults = scenario.wire
        world.trace.note("chaos: messages arrive")
    }

    private func cutOff() async {
        guard let node = world.node?.address else { return }
        // All lose the server, or one worker alone does, and the others get what it had.
        let isNode = random.chance(50)
        let cut = isNode ? node : "worker \(random.below(scenario.workers))"
        world.wire.cut(cut)
        try? await world.clock.sleep(milliseconds: Int64(random.below(isNode ? 15_000 : 40_000)))
        world.wire.mend(cut)
    }

    private func failLimiter() async {
        world.trace.note("chaos: the external rate limiter fails")
        world.limiter.set(failures: random.chance(50) ? 0.7 : 0, silences: 0.3)
        try? await world.clock.sleep(milliseconds: Int64(random.below(40_000)))
        world.limiter.set(failures: 0, silences: 0)
    }
}
