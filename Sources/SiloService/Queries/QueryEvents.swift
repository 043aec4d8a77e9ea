package import SiloCore
import SiloQuery

/// Is told what becomes of statements.
package protocol QueryEvents: Sendable {
    /// A statement was let in at these shards.
    func statementBegan(_ shards: [ShardID])
    /// Is told what statements read of a shard, as they go on: rows in ranges, and rows that were looked up one by one.
    func readings(of shard: ShardID) -> @Sendable (_ scanned: Int, _ lookedUp: Int) -> Void
    /// It has left them.
    func statementEnded(_ report: QueryReport)
    /// One was not let in: its shards had as many as they may.
    func statementRefused(_ shards: [ShardID])
}

package struct NoQueryEvents: QueryEvents {
    package init() {}
    package func statementBegan(_: [ShardID]) {}
    package func readings(of _: ShardID) -> @Sendable (_ scanned: Int, _ lookedUp: Int) -> Void { { _, _ in } }
    package func statementEnded(_: QueryReport) {}
    package func statementRefused(_: [ShardID]) {}
}

/// What a statement did.
package struct QueryReport: Sendable {
    package let shards: [ShardID]
    package let milliseconds: Int64
    package let rows: Int
    /// Nil: it was answered.
    package let failure: QueryFailure?
}

/// Why statements fail, in the words of a metric's label.
package enum QueryFailure: String, CaseIterable, Sendable {
    case syntax, parameter, execution, deadline, memory, disconnect, shutdown, shard
    case resultSize = "result_size"

    init(_ error: QueryError) {
        self =
            switch error {
            case .syntax: .syntax
            case .parameter: .parameter
            case .execution: .execution
            case .timeout: .deadline
            case .memory: .memory
            case .resultTooLarge, .rowTooLarge: .resultSize
            case .cancelled: .disconnect
            case .closing: .shutdown
            case .store, .unopened, .unanswered: .shard
            }
    }
}
