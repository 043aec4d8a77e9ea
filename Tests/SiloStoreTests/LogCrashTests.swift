import Foundation
import SiloStore
import SiloTesting
import Testing

@Suite("A log on disks that lose, tear, rot and fill up", .timeLimit(.minutes(10))) struct LogCrashTests {
    /// `SILO_LOG_SEEDS=first-last` runs others.
    private static let seeds: ClosedRange<UInt64> = {
        let bounds = (ProcessInfo.processInfo.environment["SILO_LOG_SEEDS"] ?? "1-600").split(separator: "-").compactMap {
            UInt64($0)
        }
        return (bounds.first ?? 1)...max(bounds.first ?? 1, bounds.last ?? 1)
    }()

    @Test("what was acknowledged is there after any crash, and nothing in part")
    func nothingAcknowledgedIsLost() async throws {
        var total = LogCrashRun.Tally()
        for seed in Self.seeds {
            await Task.yield() // Other tests have the same few threads.
            do {
                total += try LogCrashRun(seed: seed).run()
            } catch {
                Issue.record("seed \(seed): \(error)")
                return
            }
        }
        print("\(Self.seeds.count) seeds: \(total)")
        guard Self.seeds.count >= 400 else { return }
        // What never happened was not tested.
        #expect(total.crashes > 100 && total.refusals > 0 && total.fullDisks > 0 && total.failedSyncs > 0 && total.lostLogs > 0)
        #expect(total.closures > 0 && total.clockSteps > 0)
        #expect(total.checkpoints > 100)
        for step in LogStep.allCases { #expect(total.crashesBefore[step] ?? 0 > 0, "no process died before \(step)") }
    }

    @Test("a fault that is planted is found", arguments: PlantedFault.allCases)
    func plantedFaultsAreFound(fault: PlantedFault) async {
        for seed in 1...UInt64(6000) {
            await Task.yield()
            do { _ = try LogCrashRun(seed: seed, planted: [fault]).run() } catch {
                print("\(fault) is found by seed \(seed): \("\(error)".prefix(120))")
                return
            }
        }
        Issue.record("\(fault) is not found")
    }
}
