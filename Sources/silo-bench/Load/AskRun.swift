import CommandLineTool
import SiloAPI

/// The ask command: how long one caller waits for the answers to a statement, or to GetJob.
struct AskRun {
    private let statement: String
    private let job: String?
    private let tenant: String?
    private let shard: String
    private let address: String
    private let count: Int
    /// Calls before those that count.
    private static let warmUp = 20

    init(_ arguments: Arguments) throws {
        statement = arguments.operands[1]
        shard = arguments.operands[0]
        job = arguments.text("get-job")
        tenant = arguments.text("tenant")
        address = arguments.text("address", default: "http://localhost:7450")
        count = try arguments.number("count", default: 200, in: 1...1_000_000)
    }

    private struct Answer: Encodable {
        var query_ms: Samples.Summary
        var get_job_ms: Samples.Summary?
        var rows: Int
    }

    func run() async throws {
        let connection = Connection(address)
        defer { connection.close() }
        var (queries, gets) = (Samples(), Samples())
        var rows = 0
        for index in 0..<Self.warmUp + count {
            var begun = Instant.now
            rows = try await query(connection)
            if index >= Self.warmUp { queries.add(Instant.now.milliseconds(since: begun)) }
            guard let job else { continue }
            begun = .now
            try await get(job, connection)
            if index >= Self.warmUp { gets.add(Instant.now.milliseconds(since: begun)) }
        }
        say(JSON.text(Answer(query_ms: queries.summary, get_job_ms: job == nil ? nil : gets.summary, rows: rows)))
    }

    private func query(_ connection: Connection) async throws(Failure) -> Int {
        var request = SiloV1.QueryRequest()
        request.shard = shard
        request.sql = statement
        request.tenant = tenant
        return Int(try await connection.call(SiloV1.Silo.query, request).rowCount)
    }

    private func get(_ job: String, _ connection: Connection) async throws(Failure) {
        var request = SiloV1.GetJobRequest()
        request.shard = shard
        request.id = job
        request.tenant = tenant
        _ = try await connection.call(SiloV1.Silo.getJob, request)
    }
}
