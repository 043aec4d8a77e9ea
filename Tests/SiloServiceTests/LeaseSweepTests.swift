import SiloCore
import SiloStore
import Testing

@testable import SiloEngine
@testable import SiloService

/// A conversation with the machine: what happens, and what it wants done.
@Suite(.timeLimit(.minutes(10))) struct LeaseSweepTests {
    enum Event: Sendable {
        case begin
        /// A shard gives so many tasks.
        case gives(Int, by: Int)
        /// A shard gives one task as large as the answer may be.
        case givesLarge(by: Int)
        case fails(by: Int)
        case workerLeaves
    }

    struct Conversation: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var shards = 3
        var withWork: [Int]
        var max = 10
        var waits = false
        let steps: [(Event, [String])]
    }

    static let conversations = [
        Conversation(
            testDescription: "shards with work are visited in turn until there is enough", withWork: [0, 2], max: 5,
            steps: [
                (.begin, ["note a poll of 1", "visit 0 for 5, any size"]), (.gives(2, by: 0), ["visit 2 for 3"]),
                (.gives(3, by: 2), ["let go", "answer 2 of 0, 3 of 2"]),
            ]),
        Conversation(
            testDescription: "the rest is not visited once there is enough", withWork: [0, 1, 2], max: 2,
            steps: [(.begin, ["visit 0 for 2, any size"]), (.gives(2, by: 0), ["let go", "answer 2 of 0"])]),
        Conversation(
            testDescription: "the rest is not visited once the answer is full", withWork: [0, 1], max: 9,
            steps: [
                (.begin, ["note a poll of 2", "visit 0 for 9, any size"]), (.givesLarge(by: 0), ["let go", "answer 1 of 0"]),
            ]),
        Conversation(
            testDescription: "without work and without waiting the answer is empty", withWork: [],
            steps: [(.begin, ["note a poll of 0", "note a poll of 1", "note a poll of 2", "let go", "answer nothing"])]),
        Conversation(
            testDescription: "without work a worker waits everywhere, and the first shard to give answers", withWork: [],
            waits: true,
            steps: [
                (.begin, ["wait everywhere"]), (.gives(0, by: 1), []), (.gives(1, by: 2), ["let go", "answer 1 of 2"]),
                (.gives(2, by: 0), ["give 2 back to 0"]),
            ]),
        Conversation(
            testDescription: "work that others took meanwhile is waited for", withWork: [1], waits: true,
            steps: [
                (.begin, ["visit 1 for 10, any size"]), (.gives(0, by: 1), ["wait everywhere"]), (.gives(0, by: 0), []),
                (.gives(0, by: 1), []), (.gives(0, by: 2), ["let go", "answer nothing"]),
            ]),
        Conversation(
            testDescription: "one shard is looked at and waited for in one request", shards: 1, withWork: [0], waits: true,
            steps: [(.begin, ["wait everywhere"]), (.gives(3, by: 0), ["let go", "answer 3 of 0"])]),
        Conversation(
            testDescription: "one shard is asked also when it has no work and nobody waits", shards: 1, withWork: [],
            steps: [(.begin, ["wait everywhere"]), (.gives(0, by: 0), ["let go", "answer nothing"])]),
        Conversation(
            testDescription: "one shard that fails fails the call", shards: 1, withWork: [0],
            steps: [(.begin, ["wait everywhere"]), (.fails(by: 0), ["let go", "fail"])]),
        Conversation(
            testDescription: "a shard that fails does not spoil what others gave", shards: 2, withWork: [0, 1],
            steps: [
                (.begin, ["visit 0 for 10, any size"]), (.gives(1, by: 0), ["visit 1 for 9"]),
                (.fails(by: 1), ["let go", "answer 1 of 0"]),
            ]),
        Conversation(
            testDescription: "a shard that fails does not spoil that another has nothing", shards: 2, withWork: [0],
            steps: [
                (.begin, ["note a poll of 1", "visit 0 for 10, any size"]), (.fails(by: 0), ["let go", "answer nothing"]),
            ]),
        Conversation(
            testDescription: "when all shards fail nobody is waited for", shards: 2, withWork: [0, 1], waits: true,
            steps: [
                (.begin, ["visit 0 for 10, any size"]), (.fails(by: 0), ["visit 1 for 10, any size"]),
                (.fails(by: 1), ["let go", "fail"]),
            ]),
        Conversation(
            testDescription: "while one shard can still give, those that fail are passed over", shards: 2, withWork: [],
            waits: true,
            steps: [(.begin, ["wait everywhere"]), (.fails(by: 0), []), (.gives(1, by: 1), ["let go", "answer 1 of 1"])]),
        Conversation(
            testDescription: "a worker that leaves during the visits loses nothing", shards: 2, withWork: [0, 1],
            steps: [
                (.begin, ["visit 0 for 10, any size"]), (.gives(2, by: 0), ["visit 1 for 8"]),
                (.workerLeaves, ["let go", "give 2 back to 0"]), (.gives(3, by: 1), ["give 3 back to 1"]), (.workerLeaves, []),
            ]),
        Conversation(
            testDescription: "a worker that leaves while it waits is leased nothing more", shards: 2, withWork: [], waits: true,
            steps: [
                (.begin, ["wait everywhere"]), (.workerLeaves, ["let go"]), (.gives(1, by: 0), ["give 1 back to 0"]),
                (.fails(by: 1), []),
            ]),
        Conversation(
            testDescription: "what was answered is not given back", shards: 1, withWork: [0],
            steps: [(.begin, ["wait everywhere"]), (.gives(1, by: 0), ["let go", "answer 1 of 0"]), (.workerLeaves, [])]),
    ]

    @Test(arguments: conversations) func goes(_ conversation: Conversation) {
        var sweep = LeaseSweep(
            shardCount: conversation.shards, withWork: conversation.withWork, taskCountMax: conversation.max,
            answerBytesMax: Self.bytesMax, waits: conversation.waits
        )
        for (number, (event, expected)) in conversation.steps.enumerated() {
            let actions =
                switch event {
                case .begin: sweep.begin()
                case .gives(let count, let shard): sweep.answered(by: shard, .success(Self.leased(count)))
                case .givesLarge(let shard): sweep.answered(by: shard, .success(Self.leased(1, payloadBytes: Self.bytesMax)))
                case .fails(let shard): sweep.answered(by: shard, .failure(.unavailable("")))
                case .workerLeaves: sweep.abandon()
                }
            #expect(actions.map(\.text) == expected, "step \(number)")
        }
    }

    private static let bytesMax = 1 << 20

    private static func leased(_ count: Int, payloadBytes: Int = 0) -> Leased {
        let random = SystemRandom()
        var job = StorageV1.Job()
        job.payload = Bytes(repeating: 0, count: payloadBytes)
        var leased = Leased()
        leased.tasks = (0..<count).map { _ in
            LeasedTask(id: TaskID(UUID.random(from: random)), tenant: .none, job: job, attempt: 1, relativeAttempt: 1)
        }
        return leased
    }
}

extension LeaseSweep.Action {
    fileprivate var text: String {
        switch self {
        case .notePoll(let shard): "note a poll of \(shard)"
        case .visit(let shard, let count, _, let takesOversized):
            "visit \(shard) for \(count)\(takesOversized ? ", any size" : "")"
        case .waitEverywhere: "wait everywhere"
        case .giveBack(let tasks, let shard): "give \(tasks.count) back to \(shard)"
        case .letGo: "let go"
        case .answer(let found) where found.isEmpty: "answer nothing"
        case .answer(let found): "answer " + found.map { "\($0.leased.tasks.count) of \($0.shard)" }.joined(separator: ", ")
        case .fail: "fail"
        }
    }
}
