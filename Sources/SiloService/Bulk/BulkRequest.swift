import SiloAPI
import SiloCore
import SiloEngine
import SiloQuery
import SiloStore

/// What a bulk action is to do, as it was asked for and checked.
struct BulkRequest: Sendable {
    let id: BulkID
    let verb: StorageV1.BulkVerb
    let condition: String

    /// Of a condition, in bytes: it is kept with the action, and written anew with each of its steps.
    static let conditionBytesMax = 16 << 10

    init(_ request: SiloV1.StartBulkActionRequest, random: any RandomSource) throws(SiloError) {
        guard let verb = StorageV1.BulkVerb(request.kind) else {
            throw .outOfBounds(field: "kind", bound: "must be CANCEL, RESTART, EXPEDITE or DELETE")
        }
        self.verb = verb
        condition = request.condition
        guard condition.contains(where: { !$0.isWhitespace }) else {
            throw .outOfBounds(field: "condition", bound: "is required")
        }
        guard condition.utf8.count <= Self.conditionBytesMax else {
            throw .outOfBounds(field: "condition", bound: "must have at most \(Self.conditionBytesMax) bytes")
        }
        do throws(QueryError) { try Condition.check(condition) } catch { throw SiloError(ofCondition: error) }
        id = request.id.isEmpty ? BulkID(UUID.random(from: random)) : try BulkID(checking: request.id)
    }
}

extension BulkID {
    init(checking text: String) throws(SiloError) {
        guard let uuid = UUID(text) else { throw .outOfBounds(field: "id", bound: "must be a UUID") }
        self.init(uuid)
    }
}

extension StorageV1.BulkVerb {
    init?(_ kind: SiloV1.BulkActionKind) {
        switch kind {
        case .cancel: self = .cancel
        case .restart: self = .restart
        case .expedite: self = .expedite
        case .delete: self = .delete
        default: return nil
        }
    }

    var kind: SiloV1.BulkActionKind {
        switch self {
        case .cancel: .cancel
        case .restart: .restart
        case .expedite: .expedite
        case .delete: .delete
        default: .unspecified
        }
    }

    /// For logs.
    var word: String {
        switch self {
        case .cancel: "cancel"
        case .restart: "restart"
        case .expedite: "expedite"
        case .delete: "delete"
        default: "unknown"
        }
    }

    /// Why a job of a status, as it is shown, would be refused; nil: it would not, but for what only the job itself tells.
    func refusal(of status: String) -> String? {
        let isFinished = ["Succeeded", "Failed", "Cancelled"].contains(status)
        switch self {
        case .cancel:
            return status == "Cancelled" ? "job is already cancelled" : isFinished ? "job is already in terminal state" : nil
        case .restart:
            return status == "Succeeded" ? "job already succeeded" : isFinished ? nil : "job is still in progress"
        case .expedite:
            switch status {
            case "Scheduled": return nil
            case "Waiting": return "job waits for no later time"
            case "Running": return "job is currently running"
            default: return status == "Cancelled" ? "job is cancelled" : "job is already in terminal state"
            }
        case .delete: return isFinished ? nil : "job has not finished"
        default: return nil
        }
    }
}

extension SiloError {
    init(ofCondition error: QueryError) {
        switch error {
        case .syntax(let text), .parameter(let text), .execution(let text): self = .invalidArgument("condition: \(text)")
        case .timeout(let milliseconds, _): self = .timedOut("the condition took more than \(milliseconds) ms")
        case .resultTooLarge(let bytes), .rowTooLarge(let bytes):
            self = .exhausted("the condition gives more than \(bytes) bytes")
        case .memory(let bytes): self = .exhausted("the condition needs more than \(bytes) bytes of memory")
        case .cancelled: self = .unavailable("the caller has left")
        case .closing: self = .closing
        case .store(let error, _): self.init(reading: error)
        case .unopened(let error, _): self = error
        case .unanswered: self = .unavailable("a shard does not answer")
        }
    }
}
