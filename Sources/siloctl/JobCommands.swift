import CommandLineTool
import Foundation
import Protobuf
import SiloAPI
import SiloClient
import SiloCore

/// The commands that name one job.
struct JobCommands {
    let arguments: Arguments
    let output: Output
    private var shard: String { arguments.operands[0] }
    private var id: String { arguments.operands[1] }
    private var tenant: String? { arguments.text("tenant") }

    func get() async throws {
        var request = SiloV1.GetJobRequest()
        request.shard = shard
        request.id = id
        request.tenant = tenant
        request.includeAttempts = arguments.has("attempts")
        // What is large is not shown: it is left out, and attempts, which carry theirs along, are read in parts.
        request.omitPayload = true
        request.omitResult = true
        request.answerBytesMax = 16 << 20
        let server = try await Server(arguments).owner(of: shard)
        var job = try await server.call(SiloV1.Silo.getJob, request)
        while let next = job.nextAttempt {
            request.attemptsFrom = next
            let part = try await server.call(SiloV1.Silo.getJob, request)
            job.attempts += part.attempts
            job.nextAttempt = part.nextAttempt
        }

        var object: [String: Any] = [
            "id": job.id, "status": job.status.word, "status_code": Int(job.status.rawValue), "priority": Int(job.priority),
            "enqueue_time_ms": job.enqueueTimeMs, "status_changed_at_ms": job.statusChangedAtMs,
            "task_group": job.taskGroup, "metadata": job.metadata,
        ]
        object["enqueued_at_ms"] = job.enqueuedAtMs
        var lines = [
            "Job Details", "===========", "ID:             \(job.id)", "Status:         \(job.status.word)",
            "Priority:       \(job.priority)", "Task Group:     \(job.taskGroup)",
            "Enqueued:       \(job.enqueuedAtMs.map(Output.time) ?? "-")",
            "Status Changed: \(Output.time(job.statusChangedAtMs))",
        ]
        // A job that was cancelled while it waited keeps the time.
        if job.status == .scheduled, let next = job.nextAttemptStartsAfterMs {
            object["next_attempt_starts_after_ms"] = next
            lines.append("Next Attempt:   \(start(next, of: job))")
        }
        if !job.metadata.isEmpty {
            lines.append("Metadata:")
            lines += job.metadata.map { "  \($0.key): \($0.value)" }
        }
        if arguments.has("attempts") {
            object["attempts"] = job.attempts.map { attempt -> [String: Any] in
                var object: [String: Any] = [
                    "attempt_number": Int(attempt.attemptNumber), "task_id": attempt.taskId, "status": attempt.status.word,
                    "started_at_ms": attempt.startedAtMs, "finished_at_ms": attempt.finishedAtMs ?? NSNull(),
                ]
                if let code = attempt.errorCode {
                    object["error_code"] = code
                    object["error"] = readable(attempt.errorData)
                }
                return object
            }
            lines += job.attempts.isEmpty ? ["Attempts:       none"] : ["Attempts:"] + table(job.attempts)
        }
        try output.print(object, lines)
    }

    /// When the next attempt may start, or since when it may; it cannot before the job was there.
    private func start(_ next: Int64, of job: SiloV1.GetJobResponse) -> String {
        guard next <= SystemClock().now.milliseconds else { return Output.time(next) }
        return "due since \(Output.time(max(next, job.enqueuedAtMs ?? next)))"
    }

    private func table(_ attempts: [SiloV1.JobAttempt]) -> [String] {
        let rows = attempts.map { attempt in
            let error = attempt.errorCode.map { "\($0): \(readable(attempt.errorData))" } ?? "-"
            return [
                "\(attempt.attemptNumber)", attempt.taskId, attempt.status.word, attempt.finishedAtMs.map(Output.time) ?? "-",
                error,
            ]
        }
        return Output.rows([["Attempt", "Task ID", "Status", "Finished", "Error"]] + rows, indent: 2)
    }

    /// The beginning of an attempt's error: as JSON, or in hexadecimal when it is no MessagePack.
    private func readable(_ error: SiloV1.SerializedBytes?) -> String {
        guard case .msgpack(let bytes) = error?.encoding, !bytes.isEmpty else { return "-" }
        guard bytes.count <= Self.errorBytesMax else { return "\(bytes.count) bytes" }
        let text = (try? show(error, "msgpack")) ?? (try? show(error, "hex")) ?? "-"
        return text.count > Self.errorMax ? text.prefix(Self.errorMax) + "…" : text
    }

    private static let errorMax = 200
    /// Larger ones are not looked into.
    private static let errorBytesMax = 64 << 10

    func result() async throws {
        let format = arguments.text("format", default: "hex")
        guard ["hex", "base64", "msgpack"].contains(format) else {
            throw Arguments.Mistake("--format must be hex, base64 or msgpack, not \(format)")
        }
        var request = SiloV1.GetJobResultRequest()
        request.shard = shard
        request.id = id
        request.tenant = tenant
        let response = try await Server(arguments).owner(of: shard).call(SiloV1.Silo.getJobResult, request)

        var object: [String: Any] = ["id": response.id, "status": response.status.word]
        var lines = ["Job:    \(response.id)", "Status: \(response.status.word)"]
        switch response.result {
        case .successData(let data):
            let text = try show(data, format)
            object["result"] = text
            object["finished_at_ms"] = response.finishedAtMs
            lines += ["Result:", text.isEmpty ? "-" : text]
        case .failure(let failure):
            let text = try show(failure.errorData, format)
            object["error_code"] = failure.errorCode
            object["error_data"] = text
            object["finished_at_ms"] = response.finishedAtMs
            lines += ["Error Code: \(failure.errorCode)", "Error Data:", text.isEmpty ? "-" : text]
        case .cancelled(let cancelled):
            object["cancelled_at_ms"] = cancelled.cancelledAtMs
            lines.append("Cancelled at: \(Output.time(cancelled.cancelledAtMs))")
        case nil: break
        }
        try output.print(object, lines)
    }

    private func show(_ message: SiloV1.SerializedBytes?, _ format: String) throws -> String {
        var bytes: [UInt8] = []
        if case .msgpack(let content) = message?.encoding { bytes = content }
        switch format {
        case "base64": return Data(bytes).base64EncodedString()
        // JSON has no word for it.
        case "msgpack" where MessagePack(bytes)?.isUndefined ?? false: return "undefined"
        case "msgpack":
            guard let document = bytes.isEmpty ? .null : MessagePack(bytes) else {
                throw Failure("the data is no MessagePack document; -f hex shows it")
            }
            return try JSONText(isPretty: false).text(of: document)
        default: return bytes.map { String(format: "%02x", $0) }.joined()
        }
    }

    /// Sends a request that answers nothing.
    func change<Request: Message, Response: Message>(
        _ verb: String, _ method: Method<Request, Response>, _ fill: @Sendable (inout Request, String, String, String?) -> Void
    ) async throws {
        var request = Request()
        fill(&request, shard, id, tenant)
        _ = try await Server(arguments).owner(of: shard).call(method, request)
        try output.print(["status": verb, "job_id": id], ["Job \(id) \(verb) successfully"], isShort: true)
    }
}

extension SiloV1.JobStatus {
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
}
