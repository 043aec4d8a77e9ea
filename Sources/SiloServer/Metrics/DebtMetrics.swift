import SiloCore
import SiloService
import SiloTelemetry
import Synchronization

/// What the files of one shard cost beyond what they hold. It is read from storage, which charges for that, so a page shows what
/// was seen last and has it looked at again when that is older than a minute.
final class DebtMetrics: Sendable {
    private struct State {
        var debt: StorageDebt?
        var seenAt: Timestamp?
        var isLooking = false
    }
    private let labels: MetricLabels
    private let environment: Environment
    private let look: @Sendable () async -> StorageDebt?
    private let state = Mutex(State())
    private static let freshMilliseconds: Int64 = 60_000

    /// - Parameter look: nil: the shard is not open here, or cannot be read now.
    init(_ labels: MetricLabels, in environment: Environment, look: @escaping @Sendable () async -> StorageDebt?) {
        self.labels = labels
        self.environment = environment
        self.look = look
    }

    func show(on page: inout MetricsPage) {
        if let debt = seen { show(debt, on: &page) }
    }

    /// What was seen last; it is looked at again when that is too old. Nil: it is looked at for the first time, or cannot be.
    var seen: StorageDebt? {
        let now = environment.clock.steady
        let (debt, looks): (StorageDebt?, Bool) = state.withLock { state in
            let isFresh = state.seenAt.map { now - $0 < Self.freshMilliseconds } ?? false
            let looks = !isFresh && !state.isLooking
            if looks { state.isLooking = true }
            return (state.debt, looks)
        }
        // Ends by itself: storage fails what it does not answer.
        if looks { environment.start { self.see(await self.look()) } }
        return debt
    }

    private func see(_ debt: StorageDebt?) {
        state.withLock { state in
            state.isLooking = false
            state.debt = debt
            // What could not be read is looked at again with the next page.
            if debt != nil { state.seenAt = environment.clock.steady }
        }
    }

    private func show(_ debt: StorageDebt, on page: inout MetricsPage) {
        page.add(MetricNames.storageBytes, labels, debt.bytes)
        page.add(MetricNames.unmergedBytes, labels, debt.unmergedBytes)
        page.add(MetricNames.deletedBytes, labels, debt.deletedBytes)
        page.add(MetricNames.storageCheckpoints, labels, debt.checkpoints)
        let age = debt.oldestCheckpoint.map { max(0, environment.clock.now.milliseconds / 1000 - $0) } ?? 0
        page.add(MetricNames.oldestCheckpoint, labels, age)
    }
}
