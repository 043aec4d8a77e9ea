import Dispatch
package import SiloCore
import Synchronization

/// Sends a batch on its way.
/// - Parameter whenTaken: runs once, soon when it cannot be sent: true when the next may come, false when nobody reads any more.
package typealias BatchDelivery = @Sendable (_ batch: [UInt8], _ whenTaken: @escaping @Sendable (_ isTaken: Bool) -> Void) -> Void

/// What a statement gave on.
package struct StreamedRows: Sendable {
    package var rows = 0
    /// Of the batches.
    package var bytes = 0
    /// Of a partial result: the shards whose rows are not there, or not all of them, and why.
    package var missing: [(shard: ShardID, why: QueryError)] = []

    package init() {}
}

extension Query {
    /// Runs the statement on a thread of its own, and gives its rows on as Arrow IPC streams of one batch each, at least one. One
    /// batch is on its way at a time, and nothing is read meanwhile: whoever reads slowly has the statement wait.
    ///
    /// The time that the statement may take begins anew with each batch, and when that was taken.
    package func stream(
        _ limits: QueryLimits = QueryLimits(), _ control: StatementControl, to deliver: @escaping BatchDelivery
    ) async throws(QueryError) -> StreamedRows {
        try await onThread(limits) { () throws(QueryError) in
            let rows = ArrowRows(limits) { batch throws(QueryError) in try Handover(control).give(batch, deliver) }
            let run = StatementRun(self, limits, control)
            try run.run(into: rows)
            var streamed = rows.delivered
            streamed.missing = run.missingShards
            return streamed
        }
    }
}

/// One batch from the statement's thread to whoever sends it.
private final class Handover: Sendable {
    private let control: StatementControl
    private let isTaken = Atomic(false)
    private let answered = DispatchSemaphore(value: 0)

    private static let lookMilliseconds = 20

    init(_ control: StatementControl) { self.control = control }

    /// Waits until it was taken.
    func give(_ batch: [UInt8], _ deliver: BatchDelivery) throws(QueryError) {
        control.restart()
        deliver(batch) { [self] isTaken in
            self.isTaken.store(isTaken, ordering: .relaxed)
            answered.signal()
        }
        while answered.wait(timeout: .now() + .milliseconds(Self.lookMilliseconds)) == .timedOut {
            if let end = control.end { throw end }
        }
        guard isTaken.load(ordering: .relaxed) else { throw .cancelled }
        control.restart()
    }
}
