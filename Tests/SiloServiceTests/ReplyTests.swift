import SiloAPI
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

    @Test("a caller that is cancelled goes at once; the operation is told, and its answer counts as undelivered")
    func cancellation() async throws {
        let told = AsyncStream.makeStream(of: String.self)
        let wait: Operation<Int, String> = { _, _, reply throws(SiloError) in
            reply.onCancel {
                told.continuation.yield("told")
                reply.send(.success("late"), onUndelivered: { told.continuation.finish() })
            }
            told.continuation.yield("waits")
        }
        let context = context
        let running = Task { try await awaitAnswer(wait, 1, context) }
        var words = told.stream.makeAsyncIterator()
        #expect(await words.next() == "waits")
        running.cancel()
        await #expect(throws: SiloError.unavailable("the caller has left")) { try await running.value }
        #expect(await words.next() == "told")
        #expect(await words.next() == nil, "it was undelivered")
    }

    @Test func whoIsCancelledBeforeAskingAsksNothing() async throws {
        let unasked: Operation<Int, String> = { _, _, _ throws(SiloError) in Issue.record("it was asked") }
        let context = context
        let running = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await awaitAnswer(unasked, 1, context)
        }
        await #expect(throws: SiloError.unavailable("the caller has left")) { try await running.value }
    }

    @Test func aLeaseThatWaitsEndsWithItsCaller() async throws {
        let service = try await Service()
        var request = SiloV1.LeaseTasksRequest()
        (request.taskGroup, request.workerId, request.maxTasks, request.waitMs) = ("g", "w", 1, 60_000)
        let running = Task { [request] in
            try await awaitAnswer(service.operations.workers.leaseTasks, request, service.context)
        }
        running.cancel()
        await #expect(throws: SiloError.unavailable("the caller has left")) { try await running.value }
        try await service.close()
    }
}
