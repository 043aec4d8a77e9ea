import GRPC
import Protobuf
import SiloAPI
@testable import SiloClient
import SiloCore
import SiloTesting
import Testing

/// What a worker makes of heartbeats and answers that come late or never, on simulated time.
@Suite struct HoldTests {
    /// Runs one worker of one task until `body` ends, and stops it.
    private static func work(
        _ server: ScriptedServer, _ change: (inout WorkerOptions) -> Void = { _ in }, errors: Box<WorkerError> = Box(),
        handler: @escaping Worker.Handler, body: @Sendable (Worker) async throws -> Void
    ) async throws {
        var options = WorkerOptions()
        options.onError = { errors.add($0) }
        change(&options)
        let worker = Worker(server.client { $0.timeout = .seconds(30) }, group: "g", options, handler: handler)
        async let running: Void = worker.run()
        try await body(worker)
        worker.stop()
        await running
    }

    /// A handler that goes on until it is told to stop, and notes when.
    private static func endless(_ server: ScriptedServer, _ ended: Box<Timestamp>) -> Worker.Handler {
        { task in
            while !task.isCancelled { try? await server.clock.sleep(milliseconds: 1) }
            ended.add(server.clock.steady)
            return .succeeded(.empty)
        }
    }

    @Test func aHandlerIsEndedWhenNoHeartbeatIsAnsweredHoweverLongTheCallsHang() throws {
        let errors = Box<WorkerError>()
        let (taken, ended, reports) = try ScriptedServer.simulate { server in
            server.behave { call, _ in call.path == SiloV1.Silo.heartbeat.path ? .hang : .answer }
            server.give("t")
            let ended = Box<Timestamp>()
            try await Self.work(server, errors: errors, handler: Self.endless(server, ended)) { _ in
                while ended.count == 0 { try await server.clock.sleep(milliseconds: 10) }
            }
            return (server.calls("LeaseTasks")[0].at, ended.all[0], server.reports)
        }
        // A third of a second late would be as wrong as early.
        #expect((10_000...10_002).contains(ended - taken))
        #expect(reports.isEmpty)
        #expect(errors.all.contains { $0.doing == .holding && $0.jobID == "job-t" })
    }

    @Test func aHeartbeatThatHangsDoesNotHoldUpTheNext() throws {
        let beats = try ScriptedServer.simulate { server in
            server.behave { call, number in call.path == SiloV1.Silo.heartbeat.path && number % 2 == 0 ? .hang : .answer }
            server.give("t")
            try await Self.work(server, handler: { task in
                try await server.clock.sleep(milliseconds: 60_000)
                #expect(!task.isCancelled)
                return .succeeded(.empty)
            }) { _ in
                while server.reports.isEmpty { try await server.clock.sleep(milliseconds: 10) }
            }
            return server.calls("Heartbeat").count
        }
        // Every third of ten seconds in a minute, and soon again after one that timed out.
        #expect((17...25).contains(beats))
    }

    @Test func aSlowHeartbeatCountsFromWhenItWasSent() throws {
        let (sent, ended) = try ScriptedServer.simulate { server in
            // The first is answered after 8 s, the others never.
            server.behave { call, number in
                guard call.path == SiloV1.Silo.heartbeat.path else { return .answer }
                return number == 0 ? .late(5000) : .hang
            }
            server.give("t")
            let ended = Box<Timestamp>()
            try await Self.work(server, handler: Self.endless(server, ended)) { _ in
                while ended.count == 0 { try await server.clock.sleep(milliseconds: 10) }
            }
            return (server.calls("Heartbeat")[0].at, ended.all[0])
        }
        #expect((10_000...10_002).contains(ended - sent))
    }

    @Test func anAnswerThatWasLongOnItsWayIsConfirmedBeforeTheHandlerStarts() throws {
        let (beat, started) = try ScriptedServer.simulate { server in
            server.behave { call, number in
                if call.path == SiloV1.Silo.leaseTasks.path, number == 0 { return .late(8000) }
                return call.path == SiloV1.Silo.heartbeat.path ? .late(700) : .answer
            }
            server.give("t")
            let started = Box<Timestamp>()
            try await Self.work(server, handler: { _ in
                started.add(server.clock.steady)
                return .succeeded(.empty)
            }) { _ in
                while server.reports.isEmpty { try await server.clock.sleep(milliseconds: 10) }
            }
            return (server.calls("Heartbeat")[0].at, started.all[0])
        }
        #expect(started - beat == 700)
    }

    @Test func aLeaseThatWasOverWhenItsAnswerCameNeverStartsAHandler() throws {
        let errors = Box<WorkerError>()
        try ScriptedServer.simulate { server in
            server.behave { call, number in
                if call.path == SiloV1.Silo.leaseTasks.path, number == 0 { return .late(20_000) }
                return call.path == SiloV1.Silo.heartbeat.path ? .fail(Status(.notFound, "lease not found")) : .answer
            }
            server.give("t")
            try await Self.work(server, errors: errors, handler: { _ in
                Issue.record("the handler ran")
                return .succeeded(.empty)
            }) { _ in
                while errors.count == 0 { try await server.clock.sleep(milliseconds: 10) }
            }
            #expect(server.reports.isEmpty)
        }
        #expect(errors.all.contains { $0.doing == .holding })
    }

    @Test func aRefreshIsHeldAsAJobIs() throws {
        let ended = try ScriptedServer.simulate { server in
            server.behave { call, _ in call.path == SiloV1.Silo.heartbeat.path ? .hang : .answer }
            server.giveRefresh("r", lease: 6000)
            let ended = Box<Timestamp>()
            var options = WorkerOptions()
            options.onError = { _ in }
            let worker = Worker(server.client(), group: "g", options) { _ in .succeeded(.empty) } refresh: { limit in
                while !limit.isCancelled { try? await server.clock.sleep(milliseconds: 1) }
                ended.add(server.clock.steady)
                return 1
            }
            async let running: Void = worker.run()
            while ended.count == 0 { try await server.clock.sleep(milliseconds: 10) }
            worker.stop()
            await running
            #expect(server.calls("ReportRefreshOutcome").isEmpty)
            return ended.all[0] - server.calls("LeaseTasks")[0].at
        }
        #expect((6000...6002).contains(ended))
    }

    @Test func aSilentConnectionIsLeftForANewOneAndTheLeaseIsKept() throws {
        try ScriptedServer.simulate { server in
            // Whatever is sent over the first connection after five seconds is swallowed.
            let begun = server.clock.steady
            server.behave { call, _ in
                server.connections.count == 1 && call.at - begun > 5000 ? .hang : .answer
            }
            server.give("t")
            try await Self.work(server, handler: { task in
                try await server.clock.sleep(milliseconds: 40_000)
                #expect(!task.isCancelled)
                return .succeeded(.empty)
            }) { _ in
                while server.reports.isEmpty { try await server.clock.sleep(milliseconds: 10) }
            }
            #expect(server.connections.count == 2)
        }
    }

    @Test func stoppingWaitsForTheAnswerOnItsWayAndRunsWhatItBrings() throws {
        let (reports, polls, took) = try ScriptedServer.simulate { server in
            let begun = Box<Timestamp>()
            try await Self.work(server, handler: { _ in .succeeded(.empty) }) { worker in
                while server.calls("LeaseTasks").isEmpty { try await server.clock.sleep(milliseconds: 1) }
                // The request waits at the server; its answer will bring this.
                server.give("t")
                begun.add(server.clock.steady)
                worker.stop()
            }
            return (server.reports, server.calls("LeaseTasks").count, server.clock.steady - begun.all[0])
        }
        #expect(reports == [["t"]])
        #expect(polls == 1)
        #expect(took <= 3100)
    }

    @Test func cancellingTheTaskThatRunsAWorkerGivesUpWhatItHolds() throws {
        try ScriptedServer.simulate { server in
            server.give("t")
            let ended = Box<Timestamp>()
            let worker = Worker(server.client(), group: "g", handler: Self.endless(server, ended))
            let running = server.environment.start { await worker.run() }
            while worker.runningTasks == 0 { try await server.clock.sleep(milliseconds: 1) }
            let begun = server.clock.steady
            running.cancel()
            await running.value
            #expect(server.clock.steady - begun < 100)
            #expect(ended.count == 1 && server.reports.isEmpty)
        }
    }
}
