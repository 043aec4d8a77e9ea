import CommandLineTool
import Protobuf
import SiloAPI
import SiloClient

/// The commands that name one job: by its id, and by its tenant or its shard.
struct JobCommands {
    let arguments: Arguments
    let output: Output
    private var id: String { arguments.operands[0] }

    /// Who to ask, what, and of whose job.
    struct Question<Request: Message> {
        let server: Server
        var request: Request
    }

    /// - Parameter fill: names the job: request, shard, id, tenant.
    func question<Request: Message>(
        _ fill: @Sendable (inout Request, String, String, String?) -> Void
    ) async throws -> Question<Request> {
        let tenant = try ServerPlace.tenant(arguments)
        let (server, shard) = try await Server(arguments).owner(of: arguments.optionalOperand, orOf: tenant)
        var request = Request()
        fill(&request, shard, id, tenant)
        return Question(server: server, request: request)
    }

    /// Sends a request that answers nothing.
    func change<Request: Message, Response: Message>(
        _ verb: String, _ method: Method<Request, Response>, _ fill: @Sendable (inout Request, String, String, String?) -> Void
    ) async throws {
        let question = try await question(fill)
        _ = try await question.server.call(method, question.request)
        try output.print(["status": verb, "job_id": id], ["Job \(id) \(verb) successfully"], isShort: true)
    }

    /// Erases the job. One that is not there is no mistake, but worth a word: the id may be wrong.
    func delete() async throws {
        let question = try await question { (request: inout SiloV1.DeleteJobRequest, shard, id, tenant) in
            (request.shard, request.id, request.tenant) = (shard, id, tenant)
        }
        let status = try await status(question)
        let isThere = status != nil
        do { _ = try await question.server.call(SiloV1.Silo.deleteJob, question.request) } catch let failure as Failure {
            guard let status, failure.description.contains("has pending requests") else { throw failure }
            throw Failure("FAILED_PRECONDITION: cannot delete job \(id): \(status.reasonNotToDelete)")
        }
        try output.print(
            ["status": isThere ? "deleted" : "not_found", "job_id": id],
            [isThere ? "Job \(id) deleted successfully" : "There is no job \(id): nothing was deleted"], isShort: true
        )
    }

    /// Nil: there is no such job.
    private func status(_ question: Question<SiloV1.DeleteJobRequest>) async throws -> SiloV1.JobStatus? {
        var request = SiloV1.GetJobRequest()
        (request.shard, request.id, request.tenant) = (question.request.shard, id, question.request.tenant)
        request.omitPayload = true
        request.omitResult = true
        do { return try await question.server.call(SiloV1.Silo.getJob, request).status } catch let failure as Failure {
            guard failure.description.contains("job not found") else { throw failure }
            return nil
        }
    }
}

extension SiloV1.JobStatus {
    /// As the schema names it, without its prefix.
    var word: String {
        switch self {
        case .scheduled: "scheduled"
        case .running: "running"
        case .succeeded: "succeeded"
        case .failed: "failed"
        case .cancelled: "cancelled"
        default: "unknown"
        }
    }

    var line: Line { Line(word, word.outcomeStyle) }

    fileprivate var reasonNotToDelete: String {
        self == .running
            ? "it is running; job cancel tells its worker to stop, and once it has ended it can be deleted"
            : "it waits (\(word)); job cancel ends it first"
    }
}

extension SiloV1.AttemptStatus {
    var word: String {
        switch self {
        case .running: "running"
        case .succeeded: "succeeded"
        case .failed: "failed"
        case .cancelled: "cancelled"
        default: "unknown"
        }
    }

    var line: Line { Line(word, word.outcomeStyle) }
}

extension String {
    fileprivate var outcomeStyle: Line.Style? {
        switch self {
        case "running": .busy
        case "succeeded": .good
        case "failed": .bad
        case "cancelled": .quiet
        default: nil
        }
    }
}
