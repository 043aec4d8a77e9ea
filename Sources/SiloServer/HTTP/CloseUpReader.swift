import Foundation
import SiloCore
import SiloService
import SiloWeb
import Synchronization

/// Looks closer for whoever has a page about shards and nodes open: at the process, and at what storage holds. Waits for nobody.
final class CloseUpReader: Sendable {
    private struct Sample {
        let processorSeconds: Double
        let at: Timestamp
    }
    private struct Samples {
        var last: Sample?
        /// Processors that were busy between the two looks before.
        var busy: Double?
    }
    private let metrics: NodeMetrics
    private let environment: Environment
    private let samples = Mutex(Samples())
    /// Of a measurement: several may look at once.
    private static let leastMilliseconds: Int64 = 900

    init(_ metrics: NodeMetrics, in environment: Environment) {
        self.metrics = metrics
        self.environment = environment
    }

    /// - Parameter core: nil: the shards are being opened.
    func read(_ core: NodeCore?) -> CloseUp {
        var closeUp = CloseUp()
        closeUp.process = process()
        guard let core else { return closeUp }
        for host in core.shards.hosts {
            guard let debt = metrics.debt(of: host.id, core.admin, in: environment) else { continue }
            closeUp.storage[host.id.description] = CloseUp.Storage(debt)
        }
        return closeUp
    }

    private func process() -> CloseUp.Process {
        let figures = ProcessFigures.now
        var process = CloseUp.Process()
        process.openFiles = figures.openFiles
        process.openFilesMax = figures.openFilesMax.flatMap { Int(exactly: $0) }
        process.processors = ProcessInfo.processInfo.activeProcessorCount
        guard let status = figures.status else { return process }
        process.residentBytes = UInt64(status.residentBytes)
        process.threads = Int(status.threads)
        process.processorSeconds = status.processorSeconds
        process.busyProcessors = busy(Sample(processorSeconds: status.processorSeconds, at: environment.clock.steady))
        return process
    }

    private func busy(_ sample: Sample) -> Double? {
        samples.withLock { samples in
            guard let last = samples.last else {
                samples.last = sample
                return nil
            }
            let milliseconds = sample.at - last.at
            guard milliseconds >= Self.leastMilliseconds else { return samples.busy }
            samples.busy = max(0, sample.processorSeconds - last.processorSeconds) * 1000 / Double(milliseconds)
            samples.last = sample
            return samples.busy
        }
    }
}

extension CloseUp.Storage {
    fileprivate init(_ debt: StorageDebt) {
        self.init()
        files = debt.flushedFiles
        sortedRuns = debt.sortedRuns
        bytes = debt.bytes
        flushedBytes = debt.flushedBytes
        unmergedBytes = debt.unmergedBytes
        deletedBytes = debt.deletedBytes
        logFiles = debt.logFiles
        checkpoints = debt.checkpoints
        oldestCheckpoint = debt.oldestCheckpoint.map { Timestamp($0 * 1000) }
    }
}
