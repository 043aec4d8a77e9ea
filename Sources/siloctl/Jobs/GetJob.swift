import CommandLineTool
import Foundation
import Protobuf
import SiloAPI
import SiloClient

/// `job get`: all that is known of a job.
struct GetJob {
    let arguments: Arguments
    let output: Output
    /// An answer's; what does not fit is left out, and attempts are read in parts.
    private static let answerBytesMax: UInt64 = 16 << 20
    /// Of a payload and of an error, for people.
    private static let lettersMax = 200

    static let details = """
        The status is the protocol's: scheduled is every job that has still to run. SQL, the web page and jobs --where tell two
        of these apart: Scheduled, whose time is to come, and Waiting, which may start now. So a scheduled job that is due is
        shown as scheduled (Waiting in SQL); --json has the protocol's word alone.
        """

    func run() async throws {
        var question = try await JobCommands(arguments: arguments, output: output).question {
            (request: inout SiloV1.GetJobRequest, shard, id, tenant) in
            (request.shard, request.id, request.tenant) = (shard, id, tenant)
        }
        question.request.includeAttempts = arguments.has("attempts")
        question.request.omitResult = true
        question.request.answerBytesMax = Self.answerBytesMax
        var job = try await question.server.call(SiloV1.Silo.getJob, question.request)
        var rest = question.request
        rest.omitPayload = true
        while let next = job.nextAttempt {
            rest.attemptsFrom = next
            let part = try await question.server.call(SiloV1.Silo.getJob, rest)
            job.attempts += part.attempts
            job.nextAttempt = part.nextAttempt
        }
        if job.payloadOmitted, arguments.has("payload") {
            question.request.includeAttempts = false
            question.request.answerBytesMax = nil
            job.payload = try await question.server.call(SiloV1.Silo.getJob, question.request).payload
            job.payloadOmitted = false
        }
        try output.print(object(job), lines(job))
    }

    // MARK: For people

    private func lines(_ job: SiloV1.GetJobResponse) -> [Line] {
        let times = output.times
        var fields: [(String, Line)] = [
            ("ID", "\(job.id)"), ("Status", status(of: job)), ("Priority", "\(job.priority)"), ("Task Group", "\(job.taskGroup)"),
            ("Enqueued", "\(job.enqueuedAtMs.map(times.text) ?? "-")"),
            ("Status Changed", "\(times.text(job.statusChangedAtMs))"),
        ]
        // A job that was cancelled while it waited keeps the time.
        if job.status == .scheduled, let next = job.nextAttemptStartsAfterMs {
            fields.append(("Next Attempt", "\(start(next, of: job))"))
        }
        fields.append(("Retries", "\(job.retryPolicy.map(\.text) ?? "none")"))
        if job.retainMs > 0 { fields.append(("Kept For", "\(Words.length(job.retainMs)) after it has finished")) }
        let isWhole = arguments.has("payload")
        if !isWhole { fields.append(("Payload", "\(payload(job))")) }
        if arguments.has("attempts"), job.attempts.isEmpty { fields.append(("Attempts", "none")) }
        var lines = [Line("Job Details", .heading), "==========="] + Output.fields(fields)
        if !job.limits.isEmpty {
            lines += [Line("Limits:", .heading)] + job.limits.compactMap { $0.text.map { "  \($0)" } }
        }
        if !job.metadata.isEmpty {
            lines += [Line("Metadata:", .heading)] + job.metadata.map { "  \($0.key): \($0.value)" }
        }
        if !job.attempts.isEmpty { lines += [Line("Attempts:", .heading)] + table(job.attempts) }
        if isWhole { lines += [Line("Payload:", .heading), "\(Document(job.payload).text())"] }
        return lines
    }

    /// A job whose time has come is still scheduled to the protocol.
    private func status(of job: SiloV1.GetJobResponse) -> Line {
        let isWaiting = job.status == .scheduled && (job.nextAttemptStartsAfterMs ?? 0) <= output.times.now
        return isWaiting ? job.status.line + " (Waiting in SQL)" : job.status.line
    }

    /// When the next attempt may start, or since when it may; it cannot before the job was there.
    private func start(_ next: Int64, of job: SiloV1.GetJobResponse) -> String {
        guard next <= output.times.now else { return output.times.text(next) }
        return "due since \(output.times.moment(max(next, job.enqueuedAtMs ?? next)))"
    }

    private func payload(_ job: SiloV1.GetJobResponse) -> String {
        let hint = "--payload shows it all"
        guard !job.payloadOmitted else { return "more than \(Words.size(Self.answerBytesMax / 2)); \(hint)" }
        let document = Document(job.payload)
        return document.beginning(Self.lettersMax).map { "\($0)…  (\(Words.size(UInt64(document.bytes.count))); \(hint))" }
            ?? document.text()
    }

    private func table(_ attempts: [SiloV1.JobAttempt]) -> [Line] {
        let rows: [[Line]] = attempts.map { attempt in
            let times = output.times
            return [
                "\(attempt.attemptNumber)", "\(attempt.taskId)", attempt.status.line, "\(times.moment(attempt.startedAtMs))",
                "\(attempt.finishedAtMs.map(times.moment) ?? "-")",
                "\(attempt.errorCode.map { "\($0): \(readable(attempt.errorData))" } ?? "-")",
            ]
        }
        return Table.lines(["Attempt", "Task ID", "Status", "Started", "Finished", "Error"], rows, indent: 2)
    }

    /// The beginning of an attempt's error.
    private func readable(_ error: SiloV1.SerializedBytes?) -> String {
        let document = Document(error)
        return document.beginning(Self.lettersMax).map { "\($0)…" } ?? document.text()
    }

    // MARK: For programs

    private func object(_ job: SiloV1.GetJobResponse) -> [String: Any] {
        var object: [String: Any] = [
            "id": job.id, "status": job.status.word, "status_code": Int(job.status.rawValue), "priority": Int(job.priority),
            "enqueue_time_ms": job.enqueueTimeMs, "status_changed_at_ms": job.statusChangedAtMs,
            "task_group": job.taskGroup, "metadata": job.metadata, "limits": job.limits.compactMap(\.object),
        ]
        object["enqueued_at_ms"] = job.enqueuedAtMs
        object["retry_policy"] = job.retryPolicy?.object
        if job.retainMs > 0 { object["retain_ms"] = job.retainMs }
        if job.status == .scheduled { object["next_attempt_starts_after_ms"] = job.nextAttemptStartsAfterMs }
        let payload = Document(job.payload)
        if job.payloadOmitted {
            object["payload_omitted"] = true
        } else if let value = payload.value {
            object["payload"] = value
        } else {
            object["payload_base64"] = Data(payload.bytes).base64EncodedString()
        }
        if arguments.has("attempts") { object["attempts"] = job.attempts.map(self.object) }
        return object
    }

    private func object(_ attempt: SiloV1.JobAttempt) -> [String: Any] {
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
}
