import CommandLineTool
import Foundation
import Protobuf
import SiloAPI
import SiloClient

/// `job import`: stores the jobs of a JSON file, each on its own.
struct ImportCommand {
    let arguments: Arguments
    let output: Output

    static let details = """
        <file> is a JSON array of jobs; - reads it from standard input. The fields are those of ImportJobRequest in the schema:

          id                  names the job within its tenant; needed
          task_group          which workers run it; needed
          payload             any JSON value
          tenant              whose it is (--tenant)
          priority            0 to 99, 0 first (50)
          enqueue_time_ms     milliseconds since 1970 (now)
          start_at_ms         when the attempt that is left may start (now)
          metadata            an object of texts
          retain_ms           how long it is kept after its last attempt finished (as the server's settings say)
          retry_policy        retry_count, initial_interval_ms (1000), max_interval_ms (60000), backoff_factor (2),
                              randomize_interval (true); absent: no retries
          limits              objects with one field each:
            concurrency           key, max_concurrency
            floating_concurrency  key, default_max_concurrency, refresh_interval_ms, metadata
            rate_limit            name, unique_key, limit, duration_ms, hits (1), algorithm (token_bucket, or leaky_bucket),
                                  behavior (0, bits of GubernatorBehavior), burst, retry_policy: initial_backoff_ms (100),
                                  max_backoff_ms (30000), backoff_multiplier (2), max_retries (0, no bound)
          attempts            those that ended, oldest first; all but the last failed:
            status                succeeded, failed or cancelled
            started_at_ms, finished_at_ms
            result                of a succeeded attempt, any JSON value
            error_code, error_data  of a failed one; the data is any JSON value

        A job whose last attempt succeeded, was cancelled, or failed with no retry left has ended; any other is to run. A job that
        is stored already gets the attempts that it does not have; one that runs or has succeeded is refused. Nothing is sent when
        the file has a mistake; of ten jobs at most it is told what is wrong. When the servers refuse some of the jobs the others
        are stored, and the exit code is 1.
        """

    /// Jobs of one call at most, and their payloads but for the last: well below what a server accepts.
    private static let batchMax = 1000
    private static let batchBytesMax = 8 << 20
    private static let mistakesMax = 10

    func run() async throws {
        let path = arguments.operands[0]
        let isStandardInput = path == "-"
        let name = isStandardInput ? "standard input" : path
        let file = try isStandardInput ? InputFile.standardInput() : InputFile.read(path)
        let document: MessagePack
        do { document = try MessagePack(json: Data(file)) } catch { throw Failure("\(name): \(error)") }
        guard case .array(let items) = document else {
            throw Failure("\(name) is no JSON array of jobs; siloctl job import --help shows what goes in")
        }
        var requests = try Self.requests(items, of: file, name)
        let server = try Server(arguments)
        let info = try await server.clusterInfo()
        let tenant = try ServerPlace.tenant(arguments)
        for index in requests.indices {
            if requests[index].tenant == nil { requests[index].tenant = tenant }
            requests[index].shard = try info.shard(of: requests[index].tenant)
        }

        var results = [SiloV1.ImportJobResult?](repeating: nil, count: requests.count)
        let shards = Dictionary(grouping: requests.indices, by: { requests[$0].shard })
        for (shard, places) in shards.sorted(by: { $0.key < $1.key }) {
            for batch in Self.batches(of: places, requests) {
                let answers = await send(batch.map { requests[$0] }, to: shard, info, server)
                for (place, result) in zip(batch, answers) { results[place] = result }
            }
        }
        try show(results.compactMap { $0 })
    }

    /// - Throws: the first mistake of each of the first jobs that have some, with their lines.
    private static func requests(
        _ items: [MessagePack], of file: [UInt8], _ name: String
    ) throws(Failures) -> [SiloV1.ImportJobRequest] {
        var requests: [SiloV1.ImportJobRequest] = []
        var mistakes: [(job: Int, text: String)] = []
        for (index, item) in items.enumerated() {
            do throws(Failure) {
                requests.append(try SiloV1.ImportJobRequest(json: item, at: "job \(index + 1)"))
            } catch {
                mistakes.append((index, error.description))
            }
        }
        guard !mistakes.isEmpty else { return requests }
        let lines = JSONLines.ofItems(in: file)
        var texts = mistakes.prefix(mistakesMax).map { mistake in
            let line = lines.indices.contains(mistake.job) ? ":\(lines[mistake.job])" : ""
            return "\(name)\(line): \(mistake.text)"
        }
        let rest = mistakes.count - mistakesMax
        if rest > 0 { texts.append("\(Words.count(rest, "more job")) \(rest == 1 ? "has" : "have") mistakes") }
        throw Failures(texts)
    }

    private static func batches(of places: [Int], _ requests: [SiloV1.ImportJobRequest]) -> [[Int]] {
        var batches: [[Int]] = [[]]
        var bytes = 0
        for place in places {
            if batches[batches.count - 1].count == batchMax || bytes >= batchBytesMax {
                batches.append([])
                bytes = 0
            }
            batches[batches.count - 1].append(place)
            bytes += requests[place].serializedBytes().count
        }
        return batches
    }

    /// As many results as jobs: when the call fails, it failed for each.
    private func send(
        _ jobs: [SiloV1.ImportJobRequest], to shard: String, _ info: SiloV1.GetClusterInfoResponse, _ server: Server
    ) async -> [SiloV1.ImportJobResult] {
        var request = SiloV1.ImportJobsRequest()
        request.jobs = jobs
        let problem: String
        do {
            let response = try await server.owner(of: shard, info).call(SiloV1.Silo.importJobs, request)
            if response.results.count == jobs.count { return response.results }
            problem =
                "the answer has \(Words.count(response.results.count, "result")) for \(Words.count(jobs.count, "job")); "
                + "job get shows whether it is stored"
        } catch {
            problem = "\(error)"
        }
        return jobs.map { job in
            var result = SiloV1.ImportJobResult()
            result.id = job.id
            result.status = .failed
            result.error = problem
            return result
        }
    }

    private func show(_ results: [SiloV1.ImportJobResult]) throws {
        let refused = results.filter { !$0.success }
        var lines: [Line] = ["Imported \(Words.grouped(results.count - refused.count)) of \(Words.count(results.count, "job"))"]
        let reasons = refused.map { ["\($0.id)", "\($0.error ?? "")"] as [Line] }
        if !refused.isEmpty { lines += ["Refused:"] + Table.lines(nil, reasons, indent: 2) }
        try output.print(
            [
                "imported": results.count - refused.count, "refused": refused.count,
                "jobs": results.map { result -> [String: Any] in
                    var object: [String: Any] = ["id": result.id, "success": result.success]
                    if result.success { object["status"] = result.status.word } else { object["error"] = result.error ?? "" }
                    return object
                },
            ],
            lines
        )
        guard refused.isEmpty else {
            let others = refused.count < results.count ? "; the others are stored" : ""
            throw Failure("\(Words.grouped(refused.count)) of \(Words.count(results.count, "job")) refused\(others)")
        }
    }
}
