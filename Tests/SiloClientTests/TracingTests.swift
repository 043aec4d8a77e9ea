import GRPC
import Protobuf
import SiloAPI
@testable import SiloClient
import SiloCore
import SiloTelemetry
import SiloTesting
import Synchronization
import Testing

/// Whom calls, jobs and handlers are for goes with them.
@Suite(.timeLimit(.minutes(10))) struct ClientTracingTests {
    private static func context(_ number: UInt64) throws -> TraceContext {
        let (trace, span) = (try #require(TraceID(high: 0, low: number)), try #require(SpanID(number)))
        return TraceContext(trace: trace, span: span, isSampled: true)
    }

    private static func job(_ id: String) -> NewJob {
        var job = NewJob("g", payload: .empty)
        job.id = id
        return job
    }

    @Test func aCallIsMadeForWhomItsTaskIs() throws {
        try ScriptedServer.simulate { server in
            let client = server.client()
            let current = try Self.context(1)
            try await TraceContext.$current.withValue(current) { _ = try await client.enqueue(Self.job("a")) }
            _ = try await client.enqueue(Self.job("b"))
            #expect(server.calls("Enqueue").map { $0.metadata["traceparent"] } == [current.header, nil])
        }
    }

    @Test func jobsThatTravelTogetherKeepWhomTheyAreFor() throws {
        try ScriptedServer.simulate { server in
            server.behave { call, _ in call.path.contains("Enqueue") ? .late(100) : .answer }
            let client = server.client()
            try await client.ping()
            try await withThrowingTaskGroup { group in
                for number in 0..<4 {
                    let current = number == 2 ? nil : try Self.context(UInt64(number + 1))
                    group.addTask {
                        try await server.clock.sleep(milliseconds: Int64(number))
                        try await TraceContext.$current.withValue(current) { _ = try await client.enqueue(Self.job("\(number)")) }
                    }
                }
                try await group.waitForAll()
            }
            let batch = try #require(server.calls("EnqueueBatch").first)
            let jobs = try SiloV1.EnqueueBatchRequest(serializedBytes: batch.request).jobs
            #expect(jobs.map(\.traceparent) == [try Self.context(2).header, "", try Self.context(4).header])
            #expect(batch.metadata["traceparent"] == nil, "the call itself is made for none of them")
        }
    }

    @Test func aHandlerAndItsReportAreForTheSender() throws {
        try ScriptedServer.simulate { server in
            let sender = try Self.context(7)
            server.give("a")
            server.changeTask("a") { $0.traceparent = sender.header }
            server.give("b")
            let seen = Mutex<[String: TraceContext?]>([:])
            let worker = Worker(server.client(), group: "g") { task in
                seen.withLock { $0[task.taskID] = .some(TraceContext.current) }
                return .succeeded(.empty)
            }
            // Whom the worker itself was started for does not matter.
            let other = try Self.context(9)
            let running = server.environment.start {
                await TraceContext.$current.withValue(other) { await worker.run() }
            }
            while server.reports.joined().count < 2 { try await server.clock.sleep(milliseconds: 10) }
            worker.stop()
            await running.value
            #expect(seen.withLock { $0 } == ["a": sender, "b": nil])
            let polls = server.calls("LeaseTasks").map { $0.metadata["traceparent"] }
            #expect(polls.allSatisfy { $0 == nil })
            var reported: [String: String] = [:]
            for call in server.calls("ReportOutcome") {
                let outcome = try SiloV1.ReportOutcomeRequest(serializedBytes: call.request)
                reported[outcome.taskId] = call.metadata["traceparent"] ?? ""
            }
            for call in server.calls("ReportOutcomes") {
                for outcome in try SiloV1.ReportOutcomesRequest(serializedBytes: call.request).outcomes {
                    reported[outcome.taskId] = outcome.traceparent
                }
            }
            #expect(reported == ["a": sender.header, "b": ""])
        }
    }

    @Test func aTracerMakesASpanOfEachJobAndOfEachHandler() throws {
        try ScriptedServer.simulate { server in
            let tracer = NotingTracer()
            let client = server.client { $0.tracer = tracer }
            let current = try Self.context(3)
            try await TraceContext.$current.withValue(current) { _ = try await client.enqueue(Self.job("x")) }
            await #expect(throws: ClientError.self) { try await client.enqueue(Self.job("x")) }
            server.give("a")
            server.changeTask("a") { ($0.traceparent, $0.taskGroup) = (current.header, "g") }
            let worker = Worker(client, group: "g") { _ in .failed(code: "E") }
            let running = server.environment.start { await worker.run() }
            while server.reports.isEmpty { try await server.clock.sleep(milliseconds: 10) }
            worker.stop()
            await running.value
            let spans = tracer.spans
            #expect(spans.map(\.start.name) == ["enqueue g", "enqueue g", "process g"])
            #expect(spans.map(\.start.parent) == [current, nil, current])
            #expect(spans[0].failure == .some(nil) && spans[2].failure == .some("E"))
            #expect(spans[1].failure??.contains("ALREADY_EXISTS") == true)
            #expect(server.calls("Enqueue").first?.metadata["traceparent"] == spans[0].context.header)
            #expect(server.calls("ReportOutcome").first?.metadata["traceparent"] == spans[2].context.header)
        }
    }
}

/// What an application would bring.
private final class NotingTracer: Tracer {
    private let begun = Mutex<[NotedSpan]>([])
    var spans: [NotedSpan] { begun.withLock { $0 } }

    func begin(_ start: SpanStart) -> (any Span)? {
        begun.withLock { begun in
            guard let trace = TraceID(high: 5, low: 5), let span = SpanID(UInt64(100 + begun.count)) else { return nil }
            let noted = NotedSpan(start, TraceContext(trace: start.parent?.trace ?? trace, span: span, isSampled: true))
            begun.append(noted)
            return noted
        }
    }
}

private final class NotedSpan: Span {
    let start: SpanStart
    let context: TraceContext
    private let ended = Mutex<String??>(nil)
    var failure: String?? { ended.withLock { $0 } }

    init(_ start: SpanStart, _ context: TraceContext) {
        self.start = start
        self.context = context
    }

    func set(_ attribute: String, _ value: SpanValue) {}
    func end(failure: String?) { ended.withLock { $0 = .some(failure) } }
}
