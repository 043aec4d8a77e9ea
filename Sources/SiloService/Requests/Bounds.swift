import Protobuf
import SiloCore

/// The bounds of every field of every request, checked before anything reaches a shard. docs/bounds.md lists them with what one
/// gets past each; docs/compatibility.md says which of them other servers of the protocol do not have: those marked *.
///
/// Texts that become parts of keys are short, since storage keys have a longest size. Payloads, results and errors are bounded so
/// that each fits into an answer by itself, with all that is always beside it.
package enum Bounds {
    // MARK: Messages

    /// A request or an answer, in bytes: what the protocol's clients and servers take.
    package static let messageBytesMax = 128 << 20
    /// * Messages within a request, map entries among them. Two bytes of input become hundreds in memory: small requests may have
    /// some thousands, larger ones one for every so many bytes.
    package static func nestedMax(in bytes: Int) -> Int { min(1_000_000, 10_000 + bytes / 4) }
    /// The message of a status, in bytes.
    package static let statusBytesMax = 1024

    // MARK: Jobs

    static let priorityMax: UInt32 = 99
    static let taskGroupScalarsMax = 64
    static let metadataEntriesMax = 16
    static let metadataKeyScalarsMax = 63
    static let metadataValueBytesMax = 65_534
    /// *
    static let jobIDBytesMax = 1024
    /// * A payload, a result, or the data of an error.
    static let payloadBytesMax = 120 << 20
    /// * The code of an error.
    static let errorCodeBytesMax = 16 << 10
    /// * How long a finished job is kept: a hundred years.
    static let retentionMillisecondsMax: Int64 = 3_153_600_000_000
    /// * Jobs or outcomes of one batch; of one that is all or nothing they become durable in one write.
    static let batchMax = 10_000
    /// * Imports that wait for their turn, of all calls together, in bytes.
    static let importBytesMax = 256 << 20

    // MARK: Limits

    /// * Limits of one job.
    static let limitsMax = 32
    /// * Keys of limits, and the parts of a rate limit's name.
    static let limitKeyBytesMax = 1024
    /// * Keys and metadata of a job's limits together.
    static let limitsBytesMax = 256 << 10
    /// * Every length of time in a limit: ten years.
    static let limitMillisecondsMax: Int64 = 315_360_000_000
    /// * Hits of a rate limit: whole numbers up to here are exact in its bucket.
    static let rateMax: Int64 = 1_000_000_000_000
    /// * Why something is paused.
    static let reasonBytesMax = 1024

    // MARK: Workers

    /// *
    static let workerIDBytesMax = 1024
    /// * What a worker says of itself, and what is looked for in names.
    static let workerTextBytesMax = 256
    static let searchTextBytesMax = 256
    /// * Entries of one page of a list; asking for more is no error.
    static let pageMax: UInt32 = 500
    static let pageDefault = 50
    static func page(_ asked: UInt32) -> Int { asked == 0 ? pageDefault : Int(min(asked, pageMax)) }
    /// * What went wrong with a refresh; nobody keeps it.
    static let refreshMessageBytesMax = 64 << 10
    /// * How long a request for tasks waits; asking for more is no error.
    static let waitMillisecondsMax: UInt32 = 60_000
    /// * Tasks that one call leases at most; asking for more is no error.
    static let leaseMax: UInt32 = 10_000
    /// * Bytes of an answer with leased tasks, unless a single one is larger: what gRPC's clients take by default.
    static let leaseAnswerBytes: UInt64 = 4 << 20
    /// * The same where the caller says that it takes more; it must stay below 128 MiB.
    static let leaseAnswerBytesMax: UInt64 = 32 << 20

    /// How large an answer may be.
    /// - Parameter asked: what the caller takes; nil or 0 when it does not say.
    static func leaseAnswerBytes(_ asked: UInt64?) -> Int {
        let asked = asked ?? 0
        return Int(min(asked == 0 ? leaseAnswerBytes : asked, leaseAnswerBytesMax))
    }
}

extension Bounds {
    static func checkPriority(_ priority: UInt32) throws(SiloError) {
        guard priority <= priorityMax else { throw .outOfBounds(field: "priority", bound: "must be between 0 and 99") }
    }

    /// - Parameter field: as the schema names it.
    static func checkTaskGroup(_ group: String, _ field: String = "task_group") throws(SiloError) {
        guard !group.isEmpty else { throw .outOfBounds(field: field, bound: "is required") }
        guard hasScalars(group, atMost: taskGroupScalarsMax) else {
            throw .outOfBounds(field: field, bound: "too long (must be <= \(taskGroupScalarsMax) chars)")
        }
    }

    /// Metadata of a job, and of a floating limit.
    static func checkMetadata(_ entries: TextMap<String>, _ field: String = "metadata") throws(SiloError) {
        guard entries.count <= metadataEntriesMax else {
            throw .outOfBounds(field: field, bound: "has too many entries (max 16)")
        }
        for (key, value) in entries {
            guard hasScalars(key, atMost: metadataKeyScalarsMax) else {
                throw .outOfBounds(field: "\(field) key", bound: "too long (must be < 64 chars)")
            }
            guard value.utf8.count <= metadataValueBytesMax else {
                throw .outOfBounds(field: "\(field) value", bound: "too long (must be < u16::MAX bytes)")
            }
        }
    }

    static func checkRetention(_ milliseconds: Int64) throws(SiloError) {
        guard (0...retentionMillisecondsMax).contains(milliseconds) else {
            throw .outOfBounds(
                field: "retain_ms", bound: "must be between 0 and \(retentionMillisecondsMax), not \(milliseconds)")
        }
    }

    static func checkWorker(_ id: String) throws(SiloError) {
        try checkText(id, workerIDBytesMax, "worker_id")
    }

    static func checkText(_ text: String, _ bytesMax: Int, _ field: String) throws(SiloError) {
        guard text.utf8.count <= bytesMax else {
            throw .outOfBounds(field: field, bound: "too long (must be <= \(bytesMax) bytes)")
        }
    }

    /// The size of a batch.
    static func checkBatch(_ count: Int, _ field: String) throws(SiloError) {
        guard count <= batchMax else { throw .outOfBounds(field: field, bound: "has too many entries (max \(batchMax))") }
    }

    /// The shard that an entry of a batch names: none, or that of the batch.
    static func checkShard(_ shard: String, ofBatch batch: String) throws(SiloError) {
        guard shard.isEmpty || shard == batch else {
            throw .outOfBounds(field: "shard", bound: "must be empty or the shard of the batch")
        }
    }

    /// A payload, a result, or the data of an error.
    static func checkPayload(_ bytes: Bytes, _ field: String) throws(SiloError) {
        guard bytes.count <= payloadBytesMax else {
            throw .outOfBounds(field: field, bound: "too large (must be <= \(payloadBytesMax) bytes)")
        }
    }

    /// Whether a text has at most so many Unicode scalars. A long one is not counted to its end.
    static func hasScalars(_ text: String, atMost max: Int) -> Bool {
        text.utf8.count <= max || text.utf8.count <= max * 4 && text.unicodeScalars.count <= max
    }
}

extension JobID {
    /// A job id that a request names.
    init(checking text: String) throws(SiloError) {
        try Bounds.checkText(text, Bounds.jobIDBytesMax, "id")
        self.init(text)
    }
}
