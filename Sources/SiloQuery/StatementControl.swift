package import SiloCore
import Synchronization

/// Ends a statement early: when its time is over, or when nobody waits for it. Asked on its threads, told from any other.
package final class StatementControl: Sendable {
    private let isTold = Atomic(false)
    private let told = Mutex<QueryError?>(nil)
    let clock: any Clock
    /// On the steady clock, in milliseconds.
    private let deadline: Atomic<Int64>
    let timeoutMilliseconds: Int64

    /// - Parameter timeoutMilliseconds: from now on; 0: none.
    package init(timeoutMilliseconds: Int64, clock: any Clock) {
        self.clock = clock
        self.timeoutMilliseconds = timeoutMilliseconds
        deadline = Atomic(Self.deadline(timeoutMilliseconds, clock))
    }

    private static func deadline(_ timeoutMilliseconds: Int64, _ clock: any Clock) -> Int64 {
        (timeoutMilliseconds > 0 ? clock.steady + timeoutMilliseconds : .distantFuture).milliseconds
    }

    /// Its time begins anew: it has given on what it had.
    func restart() { deadline.store(Self.deadline(timeoutMilliseconds, clock), ordering: .relaxed) }

    /// The first reason stays.
    package func end(_ why: QueryError) {
        told.withLock { $0 = $0 ?? why }
        isTold.store(true, ordering: .releasing)
    }

    package func cancel() { end(.cancelled) }

    /// Why it must end; nil: it may go on.
    var end: QueryError? {
        if isTold.load(ordering: .acquiring) { return told.withLock { $0 } }
        if timeoutMilliseconds > 0, clock.steady.milliseconds >= deadline.load(ordering: .relaxed) {
            return .timeout(timeoutMilliseconds)
        }
        return nil
    }
}
