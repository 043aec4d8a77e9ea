import GRPC
import SiloAPI
import SiloCore
import SiloEngine
import SiloTelemetry
import SiloTesting
import TestSupport
import Testing

@testable import SiloServer

@Suite(.timeLimit(.minutes(10))) struct GubernatorLimiterTests {
    private func limiter(
        _ address: String, clock: any Clock = SystemClock(), logger: Logger = .silent,
        _ change: (inout GubernatorSettings) -> Void = { _ in }
    ) throws -> GubernatorLimiter {
        var settings = GubernatorSettings(address: address)
        change(&settings)
        return try GubernatorLimiter(settings, clock: clock, logger: logger)
    }

    private func ask(_ limiter: GubernatorLimiter, _ check: RateCheck) async -> RateAnswer {
        await withCheckedContinuation { continuation in limiter.check(check) { continuation.resume(returning: $0) } }
    }

    private func response(_ status: PbGubernator.Status, reset: Int64 = 0, error: String = "") -> PbGubernator.RateLimitResp {
        var response = PbGubernator.RateLimitResp()
        response.status = status
        response.resetTime = reset
        response.error = error
        return response
    }

    @Test func aCheckIsPutInGubernatorsWords() async throws {
        let gubernator = try FakeGubernator()
        let limiter = try limiter("http://\(gubernator.address)")
        #expect(await ask(limiter, .of("a", hits: 3, limit: 7, algorithm: 1, behavior: 24, burst: 9)) == .under)
        #expect(await ask(limiter, .of("b", hits: 0, algorithm: 5)) == .under)
        let asked = gubernator.requests.flatMap(\.requests)
        var first = PbGubernator.RateLimitReq()
        first.name = "mail"
        first.uniqueKey = "a"
        first.hits = 3
        first.limit = 7
        first.duration = 60_000
        first.algorithm = .leakyBucket
        first.behavior = 24
        first.burst = 9
        #expect(asked[0] == first)
        #expect(asked[1].algorithm == .tokenBucket && asked[1].hits == 0, "an unknown algorithm is a token bucket")
        await gubernator.stop()
    }

    @Test func everyKindOfAnswerIsTakenForWhatItIs() async throws {
        let unknown = PbGubernator.Status(rawValue: 7)
        let responses = [
            response(.underLimit), response(.overLimit, reset: 1_700_000_000_123), response(.overLimit),
            response(.overLimit, reset: -1),
            response(.underLimit, error: "no peer"), response(.overLimit, reset: 5, error: "no peer"), response(unknown),
            response(.underLimit, error: String(repeating: "x", count: 100_000)),
        ]
        let gubernator = try FakeGubernator { _ in .answers(responses) }
        let limiter = try limiter(gubernator.address) { $0.batchMax = 9 }
        let answers = Box<(Int, RateAnswer)>()
        for index in 0..<9 { limiter.check(.of("\(index)")) { answers.add((index, $0)) } }
        try await answers.until(9)
        #expect(answers.all.map(\.0) == Array(0..<9))
        #expect(
            answers.all.map(\.1) == [
                .under, .over(resetAt: Timestamp(1_700_000_000_123)), .over(resetAt: nil), .over(resetAt: nil),
                .failed("gubernator: no peer"), .failed("gubernator: no peer"), .failed("gubernator gave an unknown status 7"),
                .failed("gubernator: " + String(repeating: "x", count: 512) + "…"),
                .failed("gubernator left this check unanswered"),
            ])
        #expect(gubernator.requests.count == 1)
        await gubernator.stop()
    }

    @Test func aWindowEndsByTheClockThatIsPassedIn() async throws {
        let clock = ManualClock()
        let gubernator = try FakeGubernator()
        let limiter = try limiter(gubernator.address, clock: clock) { $0.coalesceMilliseconds = 50 }
        let answers = Box<RateAnswer>()
        for index in 0..<30 { limiter.check(.of("\(index)")) { answers.add($0) } }
        try await clock.changes.wait(for: "a window of 50 ms") { clock.sleepers == [clock.now + 50] }
        clock.advance(milliseconds: 49)
        #expect(clock.sleepers == [clock.now + 1] && gubernator.requests.isEmpty && answers.count == 0)
        clock.advance(milliseconds: 1)
        try await answers.until(30)
        #expect(gubernator.requests.map(\.requests.count) == [30])
        await gubernator.stop()
    }

    @Test func hundredsOfChecksAtOnceShareFewCalls() async throws {
        let gubernator = try FakeGubernator()
        let limiter = try limiter(gubernator.address) { $0.coalesceMilliseconds = 1000 }
        let answers = Box<RateAnswer>()
        for index in 0..<500 { limiter.check(.of("\(index)")) { answers.add($0) } }
        try await answers.until(500)
        #expect(gubernator.requests.map(\.requests.count) == [100, 100, 100, 100, 100])
        #expect(answers.all.allSatisfy { $0 == .under })
        await gubernator.stop()
    }

    @Test func aBatchThatIsNotAnsweredHoldsUpNoOther() async throws {
        let gubernator = try FakeGubernator { request in
            request.requests[0].uniqueKey == "slow" ? .hold : .answers(FakeGubernator.under(request))
        }
        let limiter = try limiter(gubernator.address) { $0.batchMax = 1; $0.requestTimeoutMilliseconds = 600_000 }
        let slow = Box<RateAnswer>()
        limiter.check(.of("slow")) { slow.add($0) }
        try await gubernator.untilHeld(1)
        #expect(await ask(limiter, .of("quick")) == .under)
        #expect(slow.count == 0)
        gubernator.release()
        try await slow.until(1)
        #expect(slow.all == [.under])
        await gubernator.stop()
    }

    @Test func aCallPastItsTimeFailsItsChecks() async throws {
        let gubernator = try FakeGubernator { _ in .hold }
        let limiter = try limiter(gubernator.address) { $0.requestTimeoutMilliseconds = 150 }
        let answers = Box<RateAnswer>()
        let begun = ContinuousClock.now
        for index in 0..<3 { limiter.check(.of("\(index)")) { answers.add($0) } }
        try await answers.until(3)
        #expect(begun.duration(to: .now) >= .milliseconds(150))
        #expect(answers.all.allSatisfy { if case .failed(let text) = $0 { text.contains("DEADLINE_EXCEEDED") } else { false } })
        gubernator.release()
        await gubernator.stop()
        #expect(answers.count == 3, "an answer that comes too late is nobody's")
    }

    @Test func aConnectionThatStaysSilentIsReplaced() async throws {
        let gubernator = try FakeGubernator { request in
            request.requests[0].uniqueKey == "quiet" ? .hold : .answers(FakeGubernator.under(request))
        }
        let limiter = try limiter(gubernator.address) { $0.requestTimeoutMilliseconds = 100 }
        for _ in 0..<2 { _ = await ask(limiter, .of("quiet")) }
        #expect(await ask(limiter, .of("a")) == .under)
        #expect(Set(gubernator.peers).count == 1, "it was not silent after all")
        for _ in 0..<3 { _ = await ask(limiter, .of("quiet")) }
        try await eventually("the new connection is there") { await ask(limiter, .of("a")) == .under }
        #expect(Set(gubernator.peers).count == 2)
        await gubernator.stop()
    }

    @Test func aCallThatFailsFailsItsChecks() async throws {
        let gubernator = try FakeGubernator { request in
            request.requests[0].uniqueKey == "bytes" ? .bytes([0xff]) : .fail(Status(.resourceExhausted, "list too large"))
        }
        let limiter = try limiter(gubernator.address)
        #expect(await ask(limiter, .of("a")) == .failed("gubernator: RESOURCE_EXHAUSTED: list too large"))
        guard case .failed(let text) = await ask(limiter, .of("bytes")) else {
            return #expect(Bool(false), "nonsense was taken for an answer")
        }
        #expect(text.contains("GetRateLimitsResp"))
        await gubernator.stop()
    }

    @Test func anOutageFailsChecksAtOnceAndIsSurvivedAndIsLoggedOnce() async throws {
        let lines = Box<String>()
        let logger = Logger("limits", write: { lines.add($0) })
        let first = try FakeGubernator()
        let limiter = try limiter(first.address, logger: logger)
        #expect(await ask(limiter, .of("a")) == .under)
        await first.stop()
        for _ in 0..<3 {
            guard case .failed(let text) = await ask(limiter, .of("a")) else {
                return #expect(Bool(false), "nobody was there to answer")
            }
            #expect(text.contains("UNAVAILABLE"), "\(text)")
        }
        let second = try FakeGubernator(port: first.port)
        try await eventually("it is found again") { await ask(limiter, .of("a")) == .under }
        #expect(lines.all.filter { $0.contains("WARN limits: rate checks fail") }.count == 1, "\(lines.all)")
        #expect(lines.all.filter { $0.contains("INFO limits: rate checks are answered again") }.count == 1, "\(lines.all)")
        await second.stop()
    }

    @Test func closingAnswersEverybodyOnceAndRefusesTheRest() async throws {
        let gubernator = try FakeGubernator { _ in .hold }
        let limiter = try limiter(gubernator.address, clock: ManualClock()) {
            $0.batchMax = 2
            $0.requestTimeoutMilliseconds = 600_000
        }
        let answers = Box<RateAnswer>()
        // Two are sent, one waits in a window that does not end.
        for index in 0..<3 { limiter.check(.of("\(index)")) { answers.add($0) } }
        try await gubernator.untilHeld(1)
        limiter.close()
        let closed = RateAnswer.failed("the rate limiter is closed")
        #expect(answers.all == [closed, closed, closed])
        #expect(await ask(limiter, .of("late")) == closed)
        limiter.close()
        gubernator.release()
        await gubernator.stop()
        #expect(answers.count == 3)
    }

    @Test func checksRacingACloseAreAllAnsweredOnce() async throws {
        let gubernator = try FakeGubernator()
        for round in 0..<20 {
            let limiter = try limiter(gubernator.address) {
                $0.batchMax = 3
                $0.coalesceMilliseconds = 1
            }
            let answers = Box<Int>()
            let asked = Tally()
            await withTaskGroup { group in
                for task in 0..<4 {
                    group.addTask {
                        for index in 0..<100 {
                            limiter.check(.of("\(index)")) { _ in answers.add(task * 100 + index) }
                            asked.add()
                        }
                    }
                }
                group.addTask {
                    try? await asked.until(10 * round)
                    limiter.close()
                }
            }
            try await answers.until(400)
            #expect(Set(answers.all).count == 400 && answers.count == 400)
        }
        await gubernator.stop()
    }

    @Test func moreThanTenThousandWaitingChecksAreRefusedAtOnce() async throws {
        let gubernator = try FakeGubernator { _ in .hold }
        let limiter = try limiter(gubernator.address) { $0.batchMax = 1000 }
        let waiting = Box<RateAnswer>()
        for _ in 0..<10_000 { limiter.check(.of("a")) { waiting.add($0) } }
        let refused = Box<RateAnswer>()
        limiter.check(.of("b")) { refused.add($0) }
        #expect(refused.all == [.failed("10000 rate checks wait already")])
        #expect(waiting.count == 0)
        limiter.close()
        #expect(waiting.count == 10_000)
        await gubernator.stop()
    }

    @Test func itIsReachedWhenItComesUpWithinTheTime() async throws {
        let deaf = try DeafListener()
        let limiter = try limiter("127.0.0.1:\(deaf.port)") { $0.connectTimeoutMilliseconds = 300_000 }
        async let reached: Void = limiter.connect()
        await deaf.hangUpOnOne()
        let gubernator = try FakeGubernator(port: deaf.port)
        try await reached
        await gubernator.stop()
    }

    @Test func anUnhealthyOneIsReachedWithAWarning() async throws {
        let lines = Box<String>()
        let gubernator = try FakeGubernator(health: "unhealthy")
        try await limiter(gubernator.address, logger: Logger("limits", write: { lines.add($0) })).connect()
        #expect(lines.count == 1 && lines.all[0].contains("gubernator is not healthy status=unhealthy"))
        await gubernator.stop()
    }

    @Test func oneThatIsNotThereIsAnErrorThatSaysWhatToDo() async throws {
        let gubernator = try FakeGubernator()
        await gubernator.stop()
        let limiter = try limiter(gubernator.address) { $0.connectTimeoutMilliseconds = 300 }
        let error = await #expect(throws: StartError.self) { try await limiter.connect() }
        let text = error?.description ?? ""
        #expect(text.hasPrefix("gubernator at \(gubernator.address) does not answer (UNAVAILABLE"), "\(text)")
        #expect(text.hasSuffix("start it first, or leave --gubernator out"), "\(text)")
    }

    @Test func aServerOfAnotherKindIsNone() async throws {
        let server = Server(ServerOptions(address: "127.0.0.1:0"))
        let limiter = try limiter("127.0.0.1:\(try server.start())")
        // It does not wait for that to change: what it says is not that the time ran out.
        let error = await #expect(throws: StartError.self) { try await limiter.connect() }
        #expect(error?.description.contains("UNIMPLEMENTED") ?? false)
        await server.shutdown(grace: .zero)
    }
}

@Suite(.timeLimit(.minutes(10))) struct GubernatorSettingsTests {
    @Test func numbersAreTakenIntoTheirRange() {
        var settings = GubernatorSettings(address: "a:1")
        #expect(settings.bounded == settings, "the defaults are in range")
        settings.coalesceMilliseconds = 0
        settings.batchMax = -5
        settings.connectTimeoutMilliseconds = 0
        settings.requestTimeoutMilliseconds = .min
        var least = settings
        least.coalesceMilliseconds = 1
        least.batchMax = 1
        least.connectTimeoutMilliseconds = 1
        least.requestTimeoutMilliseconds = 1
        #expect(settings.bounded == least)
        settings.coalesceMilliseconds = .max
        settings.batchMax = .max
        settings.connectTimeoutMilliseconds = .max
        settings.requestTimeoutMilliseconds = .max
        #expect(settings.bounded.coalesceMilliseconds == 1000 && settings.bounded.batchMax == 1000)
        #expect(settings.bounded.connectTimeoutMilliseconds == 600_000 && settings.bounded.requestTimeoutMilliseconds == 600_000)
    }

    @Test(arguments: [
        ("localhost:1051", "localhost:1051", false), ("http://localhost:1051", "localhost:1051", false),
        ("https://a.b:443", "a.b:443", true), ("[::1]:1051", "[::1]:1051", false),
    ])
    func anAddressMayHaveAScheme(address: String, name: String, isSecure: Bool) throws {
        let target = try GubernatorSettings(address: address).target()
        #expect(target.name == name && (target.tls != nil) == isSecure)
    }

    @Test(arguments: [
        "", "localhost", ":1051", "localhost:", "localhost:0", "localhost:65536", "localhost:x", "http://", "http://http://a:1",
        "a:1/", "grpc://a:1", "https://a:1/v1",
    ])
    func anAddressThatIsNoneIsRefused(address: String) {
        #expect(throws: StartError.self) { try GubernatorSettings(address: address).target() }
    }
}
