package import SiloCore
package import SiloStore

/// Why a statement has no result.
package enum QueryError: Error, Equatable, Sendable {
    /// It is no statement of this language: syntax, an unknown name, more than one, or one that would change something.
    case syntax(String)
    /// A placeholder without its value.
    case parameter(String)
    /// It began and could not go on, such as a text that is no number.
    case execution(String)
    /// It took longer than it may, in milliseconds. The shards are those that it waited for.
    case timeout(Int64, waitingFor: [ShardID] = [])
    /// Its rows are more than an answer may have, in bytes.
    case resultTooLarge(Int)
    /// One row is more than a batch may have, in bytes.
    case rowTooLarge(Int)
    /// It needs more memory than it may have, in bytes.
    case memory(Int64)
    /// Nobody waits for it any more.
    case cancelled
    /// The server is shutting down.
    case closing
    /// A shard cannot be read.
    case store(StoreError, of: ShardID)
    /// A shard cannot be read now.
    case unopened(SiloError, of: ShardID)
    /// A shard was asked and has not answered for so long, in milliseconds; others have.
    case unanswered(Int64, of: ShardID)
}
