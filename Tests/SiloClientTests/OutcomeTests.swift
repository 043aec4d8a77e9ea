import GRPC
import Protobuf
import SiloAPI
@testable import SiloClient
import SiloCore
import SiloTesting
import TestSupport
import Testing

/// Outcomes and servers that do not take them, on simulated time.
@Suite(.timeLimit(.minutes(10))) struct OutcomeTests {
    private static let away = Status(.unavailable, "failed to connect to all addresses")

    private static func isReport(_ path: String) -> Bool {
        path == SiloV1.Silo.reportOutcome.path || path == SiloV1.Silo.reportOutcomes.path
            || path == SiloV1.Silo.reportRefreshOutcome.path
    }

    private static func worker(
        _ server: ScriptedServer, errors: Box<WorkerError> = Box(), patience: Duration = .seconds(60),
        handler: @escaping Worker.Handler = { _ in .succeeded(.empty) }
    ) -> Worker {
        var options = WorkerOptions()
        options.onError = { errors.add($0) }
        options.outcomePatience = patience
        return Worker(server.client(), group: "g", options, handler: handler, refresh: { _ in 3 })
    }

    @Test func anOutcomeIsRepeatedUntilItIsTakenAndItsLeaseKeptMeanwhile() throws {
        try ScriptedServer.simulate { server in
            let begun = server.clock.steady
            // Reports find nobody for ten minutes; heartbeats do.
            server.behave { call, _ in Self.isReport(call.path) && call.at - begun < 600_000 ? .fail(Self.away) : .answer }
            server.give("t")
            server.giveRefresh("r")
            let errors = Box<WorkerError>()
            let worker = Self.worker(server, errors: errors)
            async let running: Void = worker.run()
            while server.clock.steady - begun < 590_000 { try await server.clock.sleep(milliseconds: 1000) }
            // The stop waits for it.
            worker.stop()
            await running
            #expect(server.calls("ReportOutcome").last.map { $0.at - begun >= 600_000 } ?? false)
            #expect(server.calls("ReportRefreshOutcome").last.map { $0.at - begun >= 600_000 } ?? false)
            #expect(!errors.all.contains { $0.doing == .reporting })
            // Both, every third of their lease.
            #expect((340...380).contains(server.calls("Heartbeat").count))
        }
    }

    @Test func aStoppedWorkerGivesUpWhenItsPatienceEnds() throws {
        try ScriptedServer.simulate { server in
            server.behave { call, _ in Self.isReport(call.path) ? .fail(Self.away) : .answer }
            server.give("t")
            server.giveRefresh("r")
            let errors = Box<WorkerError>()
            let worker = Self.worker(server, errors: errors, patience: .seconds(20))
            async let running: Void = worker.run()
            while server.calls("ReportRefreshOutcome").isEmpty || server.reports.isEmpty {
                try await server.clock.sleep(milliseconds: 10)
            }
            let begun = server.clock.steady
            worker.stop()
            await running
            #expect((20_000...24_000).contains(server.clock.steady - begun))
            try await server.clock.sleep(milliseconds: 1)
            #expect(errors.all.count { $0.doing == .reporting } == 2)
        }
    }

    @Test func anOutcomeWhoseLeaseIsLostIsNotRepeated() throws {
        try ScriptedServer.simulate { server in
            server.behave { call, _ in Self.isReport(call.path) ? .fail(Status(.notFound, "lease not found")) : .answer }
            server.give("t")
            let worker = Self.worker(server)
            async let running: Void = worker.run()
            while server.reports.isEmpty { try await server.clock.sleep(milliseconds: 10) }
            worker.stop()
            await running
            #expect(server.reports == [["t"]])
        }
    }

    @Test func aShardThatNobodyKnowsAnyMoreIsNotWaitedFor() throws {
        try ScriptedServer.simulate { server in
            server.behave { call, _ in Self.isReport(call.path) ? .fail(Status(.notFound, "shard not found")) : .answer }
            server.give("t")
            server.changeTask("t") { $0.shard = "00000000-0000-0000-0000-00000000dead" }
            let errors = Box<WorkerError>()
            let worker = Self.worker(server, errors: errors)
            async let running: Void = worker.run()
            while server.reports.isEmpty { try await server.clock.sleep(milliseconds: 10) }
            worker.stop()
            await running
            #expect(server.reports.count == 1)
        }
    }

    @Test func aRefusedOutcomeFailsTheAttemptWithTheReasonAndNoOther() throws {
        try ScriptedServer.simulate { server in
            // What holds the outcome of "bad" is refused whole, as a message limit does.
            server.behave { call, _ in
                guard Self.isReport(call.path), call.request.count > 1000,
                    String(decoding: call.request, as: UTF8.self).contains("bad")
                else {
                    // The first reports fill a line behind them.
                    return Self.isReport(call.path) ? .late(100) : .answer
                }
                return .fail(Status(.resourceExhausted, "Received message larger than max (5000 vs. 1000)"))
            }
            for id in ["a", "b", "bad", "c"] { server.give(id) }
            let errors = Box<WorkerError>()
            let worker = Self.worker(server, errors: errors) { task in
                if task.taskID != "a" { try await server.clock.sleep(milliseconds: 50) }
                return .succeeded(Payload(bytes: [UInt8](repeating: 7, count: task.taskID == "bad" ? 2000 : 1)))
            }
            async let running: Void = worker.run()
            while Set(server.reports.joined()).count < 4 || server.lastFailureCode("bad") == nil {
                try await server.clock.sleep(milliseconds: 10)
            }
            worker.stop()
            await running
            #expect(server.lastFailureCode("bad") == "OUTCOME_REFUSED")
            #expect(errors.all.compactMap(\.taskID) == ["bad"])
            // The others went in the same call first, and each alone after that.
            #expect(server.reports.contains { $0.contains("b") && $0.contains("bad") })
            #expect(server.reports.contains(["b"]) && server.reports.contains(["c"]))
        }
    }

    @Test func workersTakeAnswersOf32MiB() throws {
        let bytes = try ScriptedServer.simulate { server in
            let worker = Self.worker(server)
            async let running: Void = worker.run()
            while server.calls("LeaseTasks").isEmpty { try await server.clock.sleep(milliseconds: 1) }
            worker.stop()
            await running
            return try SiloV1.LeaseTasksRequest(serializedBytes: server.calls("LeaseTasks")[0].request).answerBytesMax
        }
        #expect(bytes == 32 << 20)
    }
}
