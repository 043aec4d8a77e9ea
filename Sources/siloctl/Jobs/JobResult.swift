import CommandLineTool
import SiloAPI

/// `job result`: how a finished job ended.
struct JobResult {
    let arguments: Arguments
    let output: Output

    private enum Format: String, CaseIterable { case hex, base64, msgpack }

    func run() async throws {
        let format = try format()
        let question = try await JobCommands(arguments: arguments, output: output).question {
            (request: inout SiloV1.GetJobResultRequest, shard, id, tenant) in
            (request.shard, request.id, request.tenant) = (shard, id, tenant)
        }
        let response = try await question.server.call(SiloV1.Silo.getJobResult, question.request)
        var object: [String: Any] = ["id": response.id, "status": response.status.word]
        var lines: [Line] = ["Job:    \(response.id)", "Status: \(response.status.line)"]
        switch response.result {
        case .successData(let data):
            let text = try show(data, format)
            object["result"] = text
            object["finished_at_ms"] = response.finishedAtMs
            lines += ["Result:", text.isEmpty ? "-" : "\(text)"]
        case .failure(let failure):
            let text = try show(failure.errorData, format)
            object["error_code"] = failure.errorCode
            object["error_data"] = text
            object["finished_at_ms"] = response.finishedAtMs
            lines += ["Error Code: \(failure.errorCode)", "Error Data:", text.isEmpty ? "-" : "\(text)"]
        case .cancelled(let cancelled):
            object["cancelled_at_ms"] = cancelled.cancelledAtMs
            lines.append("Cancelled at: \(output.times.text(cancelled.cancelledAtMs))")
        case nil: break
        }
        try output.print(object, lines)
    }

    /// Nil: as JSON, or in hexadecimal where it is no MessagePack. In an object nobody could tell these apart, so there it is
    /// hexadecimal, as upstream's has it.
    private func format() throws -> Format? {
        guard let word = arguments.text("format") else { return output.isJSON ? .hex : nil }
        guard let format = Format(rawValue: word) else {
            throw Arguments.Mistake("--format must be hex, base64 or msgpack, not \(word)")
        }
        return format
    }

    private func show(_ message: SiloV1.SerializedBytes?, _ format: Format?) throws -> String {
        let document = Document(message)
        switch format {
        case nil: return document.text()
        case .hex: return document.hex
        case .base64: return document.base64
        case .msgpack:
            guard let json = document.json else { throw Failure("the data is no MessagePack document; -f hex shows it") }
            return json
        }
    }
}
