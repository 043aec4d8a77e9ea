import SiloAPI
import SiloCore
import SiloEngine
import SiloQuery
import SiloStore

extension SiloV1.QueryResponse {
    init(_ result: QueryResult) {
        self.init()
        columns = result.columns.map { column in
            var info = SiloV1.ColumnInfo()
            info.name = column.name
            info.dataType = column.type.name
            return info
        }
        rows = result.rows.map { SiloV1.SerializedBytes($0) }
        rowCount = Int32(clamping: rows.count)
        missingShards = result.missing.map { SiloV1.MissingShard($0.shard, $0.why) }
        isCut = result.isCut
        notices = result.notices
    }
}

extension SiloV1.MissingShard {
    /// - Parameter why: it is missing in a partial result.
    init(_ shard: ShardID, _ why: QueryError) {
        self.init()
        shardId = shard.description
        reason = why.reason
    }
}

extension SiloError {
    /// What the caller is told of a statement that failed.
    /// - Parameter ofMany: it was asked of all shards: then the one that failed is named.
    init(_ error: QueryError, ofMany: Bool) {
        switch error {
        case .syntax(let text): self = .invalidArgument("SQL error: \(text)")
        case .parameter(let text): self = .invalidArgument("SQL parameter error: \(text)")
        case .execution(let text): self = .failed("Query execution failed: \(text)")
        case .timeout(let milliseconds, let shards):
            let names = shards.map(\.description).joined(separator: ", ")
            let waited = ofMany && !shards.isEmpty ? "; it waited for shard \(names)" : ""
            self = .timedOut("statement timeout of \(milliseconds) ms exceeded\(waited)")
        case .resultTooLarge(let bytes):
            self = .exhausted("the result has more than max_result_bytes = \(bytes) bytes; ask for fewer rows or columns")
        case .rowTooLarge(let bytes): self = .exhausted("a row has more than \(bytes) bytes; ask for fewer columns")
        case .memory(let bytes): self = .exhausted("the statement needs more than \(bytes) bytes of memory; ask for less at once")
        case .cancelled: self = .unavailable("the caller has left")
        case .closing: self = .closing
        case .store(.corrupt(let text, cause: let cause), of: let shard) where ofMany:
            self = .corrupt("shard \(shard): \(text)", cause: cause.map { Cause($0) })
        case .store(let store, _) where !ofMany: self.init(reading: store)
        case .unopened(let error, _) where !ofMany: self = error
        case .store(_, let shard), .unopened(_, let shard), .unanswered(_, let shard):
            self = .unavailable("shard \(shard) does not answer: \(error.reason)")
        }
    }

    /// What keeps a shard from being read.
    fileprivate var shardReason: String {
        switch self {
        case .shardNotReady(let why), .unavailable(let why, _), .corrupt(let why, _), .failed(let why, _), .exhausted(let why):
            why
        case .notOwner: "another server has it"
        default: "\(self)"
        }
    }
}

extension QueryError {
    /// Why a shard does not answer.
    fileprivate var reason: String {
        switch self {
        case .store(let error, _): error.message
        case .unopened(let error, _): error.shardReason
        case .unanswered(let milliseconds, _): "it has not answered for \(milliseconds) ms"
        default: "\(self)"
        }
    }
}
