package import SiloEngine
import SiloTesting

/// What one seed does to a small cluster: drawn from the seed, except for what the caller takes away.
package struct Scenario: Sendable, CustomStringConvertible {
    /// What may happen. Taking one away leaves the others as they are, so that a failure can be made smaller.
    package enum Feature: String, CaseIterable, Sendable {
        case concurrency, floating, rates, external
        case retries, cancels, restarts, expedites, deletes, imports, pauses, drops
        case badWorkers = "bad-workers"
        case crashes, fencing
        case storeErrors = "store-errors"
        case wireFaults = "wire-faults"
        case smallMemory = "small-memory"
        case clocks
        /// The store refuses writes while a machine's clock is behind the last write, as SlateDB does.
        case storeClock = "store-clock"
        case clockSteps = "clock-steps"
        /// Rate limits of the calendar's periods.
        case calendars
        /// The process that serves is stopped, for longer than a lease sometimes, and goes on.
        case freezes
        /// Writes, reads and flushes take up to seconds.
        case slowDisk = "slow-disk"
        /// A shard has room for eight calls.
        case tinyMailbox = "tiny-mailbox"
        /// Many enqueue at once.
        case floods
        /// Up to a hundred thousand tenants with one job each.
        case crowd
        /// Finished jobs go, by the settings or by a time of their own.
        case retention
        /// Everything of a tenant is deleted.
        case tenantDrops = "tenant-drops"
    }

    package let seed: UInt64
    package var features: Set<Feature>
    /// Simulated seconds in which work comes and things go wrong; then all is mended, and every job must end.
    package var loadSeconds: Int64
    package var tenants: Int
    package var workers = 3
    package var producers: Int
    /// Milliseconds between two requests of a producer, on average.
    package var pause: Int64
    /// How long a handler works, in milliseconds.
    package var work: ClosedRange<Int64>
    package var engine = EngineSettings()
    /// How long a lease is in force at least, by the true time.
    package var leaseMilliseconds: Int64 = 10_000

    package init(seed: UInt64, without: Set<Feature> = [], loadSeconds: Int64? = nil) {
        self.seed = seed
        let random = SeededRandom(seed: seed)
        // Every number is drawn whether it is used or not, so that what is taken away changes nothing else.
        features = []
        for feature in Feature.allCases {
            let share = switch feature {
            case .concurrency: 90
            case .retries, .cancels, .smallMemory: 80
            case .external, .drops: 15
            case .fencing: 25
            case .calendars, .freezes: 40
            case .slowDisk, .tinyMailbox, .floods: 12
            case .crowd: 1
            case .retention: 30
            case .tenantDrops: 20
            default: 60
            }
            if random.chance(share) { features.insert(feature) }
        }
        features.subtract(without)
        let load = Int64(40 + random.below(100))
        self.loadSeconds = loadSeconds ?? load
        tenants = 1 + random.below(3)
        producers = 1 + random.below(3)
        pause = Int64(200 + random.below(2500))
        let shortest = Int64(1 + random.below(400))
        work = shortest...(shortest + Int64(1 + random.below(6000)))
        let numbers = (0..<12).map { _ in random.below(1 << 20) }
        leaseMilliseconds = has(.clocks) ? 9000 : 10_000
        engine.auditMilliseconds = 20_000
        engine.auditPauseMilliseconds = 1
        if has(.retention) || has(.tenantDrops) {
            engine.housekeepingMilliseconds = 1000
            engine.housekeepingPauseMilliseconds = Int64(numbers[10] % 20)
        }
        if has(.retention), numbers[11] % 3 > 0 {
            engine.retention = Retention(
                succeededMilliseconds: Int64(1 + numbers[11] % 40_000), failedMilliseconds: Int64(1 + numbers[11] % 70_000))
        }
        engine.passedOverMilliseconds = Int64(1000 + numbers[0] % 20_000)
        if features.contains(.tinyMailbox) { engine.unansweredMax = 8 }
        guard features.contains(.smallMemory) else { return }
        engine.windowMax = 1 + numbers[1] % 6
        engine.pageRows = 1 + numbers[2] % 5
        engine.windowBytesMax = (1 + numbers[3] % 16) * 700
        engine.quantum = 1 + numbers[4] % 3
        engine.idleQueuesMax = numbers[5] % 4
        engine.idleLimitsMax = numbers[6] % 4
        engine.grantsMax = 1 + numbers[7] % 4
        engine.turnJobsMax = 1 + numbers[8] % 8
        engine.inlineJobBytesMax = numbers[9] % 2 == 0 ? 0 : 4096
    }

    /// What the disk is like when nothing goes wrong.
    var disk: SimulatedDisk.Faults {
        var disk = SimulatedDisk.Faults()
        disk.tornTails = 0.5
        guard has(.slowDisk) else { return disk }
        disk.readLatency = SimulatedDisk.Latency(share: 0.05, microseconds: 1000...2_000_000)
        disk.writeLatency = SimulatedDisk.Latency(share: 0.1, microseconds: 1000...3_000_000)
        disk.flushLatency = SimulatedDisk.Latency(share: 1, microseconds: 5000...5_000_000)
        return disk
    }

    /// What the network is like when nothing goes wrong.
    var wire: SimulatedWire.Faults {
        var wire = SimulatedWire.Faults()
        if has(.wireFaults) { wire.lateCancels = 0.2 }
        return wire
    }

    package func has(_ feature: Feature) -> Bool { features.contains(feature) }

    package var description: String {
        "seed \(seed): \(loadSeconds) s, \(tenants) tenants, \(producers) producers every \(pause) ms, work \(work) ms, "
            + "with \(features.map(\.rawValue).sorted().joined(separator: " "))"
    }
}
