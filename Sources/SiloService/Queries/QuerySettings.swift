package import SiloQuery

/// What statements may use (spec/query.md 3). 0 means no bound.
package struct QuerySettings: Sendable {
    /// From the first look at a statement's rows to its last row.
    package var statementTimeoutMilliseconds: Int64 = 5000
    /// Of one shard; more are refused at once.
    package var concurrentStatementsMax = 8
    /// A statement that takes longer is logged.
    package var slowQueryMilliseconds: Int64 = 1000
    package var limits = QueryLimits()

    package init() {}

    /// - Parameter resultBytesMax: of the rows of an answer.
    package init(
        statementTimeoutMilliseconds: Int64, concurrentStatementsMax: Int, slowQueryMilliseconds: Int64, resultBytesMax: Int
    ) {
        self.statementTimeoutMilliseconds = statementTimeoutMilliseconds
        self.concurrentStatementsMax = concurrentStatementsMax
        self.slowQueryMilliseconds = slowQueryMilliseconds
        limits.resultBytesMax = resultBytesMax
    }
}
