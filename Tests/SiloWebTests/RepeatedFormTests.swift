import Protobuf
import SiloAPI
import SiloCore
import Synchronization
import Testing

@testable import SiloWeb

/// Forms that are sent again because nobody knows what became of the first.
@Suite(.timeLimit(.minutes(10))) struct RepeatedFormTests {
    /// A server that does what it is asked for and whose first answer is lost.
    private final class Lossy: Sendable {
        private struct State {
            var jobs: [String] = []
            var actions: [String] = []
        }
        private let state = Mutex(State())
        /// What the second start of an action tells of one shard.
        let second: SiloV1.BulkActionState

        init(second: SiloV1.BulkActionState = .running) { self.second = second }

        var jobs: [String] { state.withLock { $0.jobs } }
        var actions: [String] { state.withLock { $0.actions } }

        func answer(_ method: String, _ bytes: [UInt8]) throws(CallFailure) -> [UInt8]? {
            switch method {
            case SiloV1.Silo.getClusterInfo.path:
                var owner = SiloV1.ShardOwner()
                owner.shardId = "shard"
                var info = SiloV1.GetClusterInfoResponse()
                info.shardOwners = [owner]
                return info.serializedBytes()
            case SiloV1.Silo.getJob.path:
                var job = SiloV1.GetJobResponse()
                (job.id, job.taskGroup) = ("old", "g")
                return job.serializedBytes()
            case SiloV1.Silo.enqueue.path: return try enqueue(CountingSite.decoded(bytes)).serializedBytes()
            case SiloV1.Silo.startBulkAction.path: return try start(CountingSite.decoded(bytes)).serializedBytes()
            default: return nil
            }
        }

        private func enqueue(_ request: SiloV1.EnqueueRequest) throws(CallFailure) -> SiloV1.EnqueueResponse {
            let id = request.id.isEmpty ? "made \(jobs.count)" : request.id
            guard !jobs.contains(id) else { throw CallFailure(.exists, "job already exists with id \(id)") }
            state.withLock { $0.jobs.append(id) }
            guard jobs.count > 1 else { throw CallFailure(.unavailable, "the answer is lost") }
            var answer = SiloV1.EnqueueResponse()
            answer.id = id
            return answer
        }

        private func start(_ request: SiloV1.StartBulkActionRequest) throws(CallFailure) -> SiloV1.StartBulkActionResponse {
            var answer = SiloV1.StartBulkActionResponse()
            guard !request.dryRun else {
                var plan = SiloV1.BulkPlan()
                plan.jobs = 1
                answer.plan = plan
                return answer
            }
            let id = request.id.isEmpty ? "made \(actions.count)" : request.id
            let isNew = !actions.contains(id)
            if isNew { state.withLock { $0.actions.append(id) } }
            guard !isNew || actions.count > 1 else { throw CallFailure(.unavailable, "the answer is lost") }
            var shard = SiloV1.BulkShardAction()
            shard.state = second
            var action = SiloV1.BulkAction()
            (action.id, action.shards) = (id, [shard])
            answer.action = action
            return answer
        }
    }

    /// Sends the form of a question twice, the first time in vain.
    private func send(_ path: String, _ fields: [String], to server: Lossy) async throws -> (Curl, location: String) {
        let curl = Curl(try CountingSite(calls: { method, bytes throws(CallFailure) in try server.answer(method, bytes) }))
        let asked = try await curl.get(path)
        let sent = fields.map { ($0, asked.field($0)) }
        let action = String(path.prefix { $0 != "?" })
        #expect(try await curl.post(action, sent).status == 503)
        let again = try await curl.post(action, sent)
        #expect(again.status == 303, "\(again.text)")
        return (curl, again.location)
    }

    @Test("a job that was enqueued again by a form whose answer was lost is not enqueued once more")
    func job() async throws {
        let server = Lossy()
        let (curl, location) = try await send("/do/enqueue-again?id=old&new=old", ["form", "id", "new"], to: server)
        #expect(server.jobs.count == 1 && UUID(server.jobs[0]) != nil && location == "/job?id=\(server.jobs[0])")
        #expect(try await curl.get("/counter").text.contains("This was done already, as job"))
    }

    private static let bulk = "/do/bulk?verb=cancel&group=g"
    private static let bulkFields = ["form", "verb", "group", "before", "new"]

    @Test("an action that was begun by a form whose answer was lost is not begun once more")
    func action() async throws {
        let server = Lossy()
        let (curl, location) = try await send(Self.bulk, Self.bulkFields, to: server)
        #expect(server.actions.count == 1 && UUID(server.actions[0]) != nil && location == "/action?id=\(server.actions[0])")
        #expect(try await curl.get("/counter").text.contains("Begun: it goes on"))
    }

    @Test("an action that was stopped where it had begun, as another shard did not answer, says so")
    func stopped() async throws {
        let server = Lossy(second: .stopped)
        let (curl, _) = try await send(Self.bulk, Self.bulkFields, to: server)
        #expect(server.actions.count == 1)
        #expect(try await curl.get("/counter").text.contains("It was stopped on some shards"))
    }
}
