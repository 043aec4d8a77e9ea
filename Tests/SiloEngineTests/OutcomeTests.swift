import SiloCore
import SiloEngine
import SiloStore
import SiloTesting
import Testing

/// An outcome as a worker may report it.
enum Reported: CaseIterable, Sendable {
    case success, failure, cancelled

    var outcome: ReportOutcome.Outcome {
        switch self {
        case .success: .success(result: [1, 2])
        case .failure: .failure(code: "BROKEN", data: [3])
        case .cancelled: .cancelled
        }
    }

    var state: StorageV1.JobState {
        switch self {
        case .success: .succeeded
        case .failure: .failed
        case .cancelled: .cancelled
        }
    }
}

@Suite(.timeLimit(.minutes(10))) struct OutcomeTests {
    @Test("J4 J7 J8 J9: an outcome ends the attempt and the job: no lease, no task", arguments: Reported.allCases)
    func ends(reported: Reported) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        let task = try await bench.leaseOne()
        try await bench.pass(1000)
        try await bench.report(task, reported.outcome)

        let job = try #require(try await bench.job("a"))
        #expect(job.state == reported.state.name)
        #expect(job.changedAt == bench.now)
        #expect((job.lease, job.nextStart(at: bench.clock.moment)) == (nil, nil))
        let attempt = try #require(try await bench.attempts("a").first)
        #expect(attempt.outcome == reported.state)
        #expect((attempt.number, attempt.relativeNumber) == (1, 1))
        #expect(attempt.taskId == task.id.uuid.bytes)
        #expect(attempt.startedAtMs == bench.now.milliseconds - 1000)
        #expect(attempt.finishedAtMs == bench.now.milliseconds)
        #expect(attempt.result == (reported == .success ? [1, 2] : []))
        #expect(attempt.errorCode == (reported == .failure ? "BROKEN" : ""))
        #expect(attempt.errorData == (reported == .failure ? [3] : []))
        #expect(try await bench.drain(1) == [])
        #expect(bench.shard.counts.completed == 1)
        try await bench.finish()
    }

    @Test("J28: exactly one outcome is taken of each lease", arguments: Reported.allCases, Reported.allCases)
    func once(first: Reported, second: Reported) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1)
        let task = try await bench.leaseOne()
        try await bench.report(task, first.outcome)
        let before = bench.memory.rows
        #expect(try await refusal { try await bench.report(task, second.outcome) } == .leaseNotFound)
        #expect(bench.memory.rows == before, "a late report changes nothing")
        try await bench.finish()
    }

    @Test("J28: of many reports at once one is taken")
    func race() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 5)
        let task = try await bench.leaseOne()
        let refusals = try await withThrowingTaskGroup(of: SiloError?.self) { group in
            for index in 0..<30 {
                group.addTask { try await refusal { try await bench.report(task, Reported.allCases[index % 3].outcome) } }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(refusals.filter { $0 == nil }.count == 1)
        #expect(refusals.filter { $0 == .leaseNotFound }.count == 29)
        try await bench.finish()
    }

    @Test("J28: a report for an unknown task, or in another tenant's name, finds no lease")
    func forged() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a")
        let task = try await bench.leaseOne()
        for report in [
            ReportOutcome(tenant: Bench.tenant, task: TaskID(UUID(high: 0, low: 0)), outcome: .cancelled),
            ReportOutcome(tenant: Tenant("other"), task: task.id, outcome: .cancelled),
        ] {
            #expect(try await refusal { try await bench.shard.run(report) } == .leaseNotFound)
        }
        #expect(try await bench.state("a") == .running)
        try await bench.finish()
    }

    @Test("several reports in one call stand each on its own")
    func several() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b", "c"] { try await bench.enqueue(id, retries: id == "c" ? 1 : nil) }
        let tasks = try await bench.lease(3)
        func report(_ index: Int, _ reported: Reported) -> ReportOutcome {
            ReportOutcome(tenant: Bench.tenant, task: tasks[index].id, outcome: reported.outcome)
        }
        let forged = ReportOutcome(tenant: Bench.tenant, task: TaskID(UUID(high: 0, low: 0)), outcome: .cancelled)
        let results = try await bench.shard.run(
            Each([report(0, .success), report(0, .failure), forged, report(1, .failure), report(2, .failure)])
        )
        #expect(results.map(\.refusal) == [nil, .leaseNotFound, .leaseNotFound, nil, nil])
        #expect(try await bench.state("a") == .succeeded)
        #expect(try await bench.state("b") == .failed)
        #expect(try await bench.state("c") == .scheduled)
        try await bench.finish()
    }

    @Test("J26 J27: attempts go on counting, through retries and restarts; the relative number starts again")
    func numbers() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 2)
        var taskIDs: Set<TaskID> = []
        for run in 0..<2 {
            for attempt in 1...3 as ClosedRange<UInt32> {
                let task = try await bench.leaseOne()
                taskIDs.insert(task.id)
                #expect(task.attempt == UInt32(run) * 3 + attempt)
                #expect(task.relativeAttempt == attempt)
                try await bench.fail(task)
                if attempt < 3 {
                    #expect(
                        try await bench.nextStart("a") == bench.now + 1000 << Int64(attempt), "backoff by the relative number")
                    try await bench.pass(10_000)
                }
            }
            #expect(try await bench.state("a") == .failed)
            if run == 0 { try await bench.restart("a") }
        }
        #expect(taskIDs.count == 6)
        #expect(try await bench.attempts("a").map(\.number) == [1, 2, 3, 4, 5, 6])
        #expect(try await bench.attempts("a").map(\.relativeNumber) == [1, 2, 3, 1, 2, 3])
        #expect(Set(try await bench.attempts("a").map(\.taskId)).count == 6)
        try await bench.finish()
    }

    @Test("J27: a run has one attempt more than it has retries", arguments: [0, 1, 2, 5] as [UInt32])
    func attempts(retries: UInt32) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: retries)
        var count: UInt32 = 0
        try await untilNothingIsLeft {
            guard let task = try await bench.lease().first else { return false }
            count += 1
            try await bench.fail(task)
            try await bench.pass(1 << 40)
            return true
        }
        #expect(count == retries + 1)
        #expect(try await bench.state("a") == .failed)
        try await bench.finish()
    }

    @Test("J5: attempts that ended stay as they are, whatever comes after")
    func forEver() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", retries: 1)
        try await bench.fail(bench.leaseOne())
        let first = try await bench.attempts("a")
        try await bench.pass(2000)
        try await bench.succeed(bench.leaseOne())
        #expect(try await bench.attempts("a").first == first.first)
        #expect(try await bench.attempts("a").map(\.outcome) == [.failed, .succeeded])
        try await bench.finish()
    }

    @Test("H2: a job whose row cannot be read fails instead of stopping the shard")
    func unreadable() async throws {
        let bench = try await Bench.open()
        for id in ["a", "b"] { try await bench.enqueue(id, retries: 5) }
        let task = try await bench.leaseOne()
        try await bench.memory.write([Write(key: TenantKeys(Bench.tenant).job(JobID("a")), value: [0xff])])
        try await bench.fail(task)
        let refused = try await refusal { try await bench.restart("a") }
        #expect("\(try #require(refused))".contains("corrupt"))
        #expect(try await bench.drain(10) == ["b"])
        try await bench.shard.close()
    }
}
