import GRPC
import Protobuf
import SiloAPI
import SiloCore
import SiloEngine
import SiloStore

/// The bounds of a request, checked before it reaches a shard (spec/api.md 2.5). Those marked * are ours: storage keys have a
/// longest size, and what is kept in them must stay well below it.
enum Bounds {
    static let priorityMax: UInt32 = 99
    static let taskGroupScalarsMax = 64
    static let metadataEntriesMax = 16
    static let metadataKeyScalarsMax = 63
    static let metadataValueBytesMax = 65_534
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
    /// * Attempts of an imported job.
    static let importAttemptsMax = 10_000
    /// * Why something is paused.
    static let reasonBytesMax = 1024
    /// *
    static let jobIDBytesMax = 1024
    /// *
    static let workerIDBytesMax = 1024
    /// * Jobs or outcomes in one batch.
    static let batchMax = 10_000
    /// * How long a request for tasks waits; asking for more is no error.
    static let waitMillisecondsMax: UInt32 = 60_000
    /// * A job must fit into an answer of 128 MiB, with room for its result's envelope and ids.
    static let payloadBytesMax = 120 << 20
    /// * Messages within a request, map entries among them.
    static let nestedMax = 1_000_000
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

extension SiloV1.EnqueueRequest {
    /// The command that this request asks for, in the order of checks of spec/api.md 2.6.
    func command(_ tenant: Tenant) throws(Status) -> Enqueue {
        guard priority <= Bounds.priorityMax else { throw Status(.invalidArgument, "priority must be between 0 and 99") }
        try Bounds.checkMetadata(metadata)
        guard !taskGroup.isEmpty else { throw Status(.invalidArgument, "task_group is required") }
        guard taskGroup.unicodeScalars.count <= Bounds.taskGroupScalarsMax else {
            throw Status(.invalidArgument, "task_group too long (must be <= 64 chars)")
        }
        let limits = try limits.records()
        let policy = try retryPolicy?.record()
        guard payload.bytes.count <= Bounds.payloadBytesMax else {
            throw Status(.invalidArgument, "payload too large (must be <= \(Bounds.payloadBytesMax) bytes)")
        }
        return Enqueue(
            tenant: tenant, id: id.isEmpty ? nil : try JobID(checking: id), priority: priority, startAtMs: startAtMs,
            retryPolicy: policy, payload: payload.bytes, limits: limits,
            metadata: metadata, taskGroup: taskGroup
        )
    }
}

extension Bounds {
    /// Metadata of a job, and of a floating limit.
    static func checkMetadata(_ entries: [String: String]) throws(Status) {
        guard entries.count <= metadataEntriesMax else {
            throw Status(.invalidArgument, "metadata has too many entries (max 16)")
        }
        for (key, value) in entries {
            guard key.unicodeScalars.count <= metadataKeyScalarsMax else {
                throw Status(.invalidArgument, "metadata key too long (must be < 64 chars)")
            }
            guard value.utf8.count <= metadataValueBytesMax else {
                throw Status(.invalidArgument, "metadata value too long (must be < u16::MAX bytes)")
            }
        }
    }
}

extension JobID {
    /// A job id that a request names.
    init(checking text: String) throws(Status) {
        guard text.utf8.count <= Bounds.jobIDBytesMax else {
            throw Status(.invalidArgument, "id too long (must be <= \(Bounds.jobIDBytesMax) bytes)")
        }
        self.init(text)
    }
}
