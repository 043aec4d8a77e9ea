import SiloCore
import Testing

@testable import SiloService

@Suite(.timeLimit(.minutes(10))) struct ReplyTests {
    private let context = RequestContext(caller: .anonymous)

    @Test func anOperationThatAnswersLaterIsWaitedFor() async throws {
        let increment: Operation<Int, Int> = { request, _, reply throws(SiloError) in reply.send(request + 1) }
        let answer = try await awaitAnswer(increment, 1, context)
        #expect(answer == 2)
    }

    @Test func whatItThrowsAndWhatItAnswersWithAreOneToTheCaller() async {
        let throwing: Operation<Int, Int> = { _, _, _ throws(SiloError) in throw .jobNotFound }
        let failing: Operation<Int, Int> = { _, _, reply throws(SiloError) in reply.send(.failure(.jobNotFound)) }
        for operation in [throwing, failing] {
            await #expect(throws: SiloError.jobNotFound) { try await awaitAnswer(operation, 1, context) }
        }
    }

    @Test func theFirstAnswerCounts() async throws {
        let hasty: Operation<Int, String> = { _, _, reply throws(SiloError) in
            reply.send("first")
            reply.send("second")
            throw .jobNotFound
        }
        #expect(try await awaitAnswer(hasty, 1, context) == "first")
    }

    @Test("a caller that is cancelled tells the operation, whichever comes first") func cancellation() async throws {
        // The operation answers only when it is told, so this would never end otherwise.
        let wait: Operation<Int, String> = { _, _, reply throws(SiloError) in reply.onCancel { reply.send("told") } }
        let context = context
        let running = Task { try await awaitAnswer(wait, 1, context) }
        running.cancel()
        #expect(try await running.value == "told")
    }
}
