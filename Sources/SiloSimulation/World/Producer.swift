import Foundation
import GRPC
import Protobuf
import SiloAPI
import SiloClient
import SiloCore
import SiloTesting

/// An application: it enqueues jobs through the client library, and changes its mind about some.
struct Producer {
    private let world: World
    private let index: Int
    private let random: SeededRandom
    private let client: Client
    private let caller: Caller
    private var scenario: Scenario { world.scenario }

    init(_ world: World, _ index: Int) {
        self.world = world
        self.index = index
        random = SeededRandom(seed: world.scenario.seed &+ UInt64(index) &* 7919)
        client = world.client()
        caller = Caller(world)
    }

    func run(until end: Timestamp) async {
        var count = 0
        while world.clock.now < end, world.violations.isEmpty {
            try? await world.clock.sleep(milliseconds: Int64(random.below(Int(2 * scenario.pause) + 1)))
            count += 1
            switch random.below(100) {
            case 0..<1 where scenario.has(.tenantDrops): await dropTenant()
            case 0..<3 where scenario.has(.floods): await flood(count)
            case 0..<50: await enqueue(count)
            case 50..<54: await enqueueSeveral(count)
            case 54..<56: await enqueueAll(count)
            case 56..<68 where scenario.has(.cancels):
                await change("cancel") { (job) throws(ClientError) in try await job.cancel() }
            case 68..<75 where scenario.has(.restarts):
                await change("restart") { (job) throws(ClientError) in try await job.restart() }
            case 75..<80 where scenario.has(.expedites):
                await change("expedite") { (job) throws(ClientError) in try await job.expedite() }
            case 80..<85 where scenario.has(.deletes):
                await change("delete") { (job) throws(ClientError) in try await job.delete() }
            case 85..<91 where scenario.has(.imports): await importJob(count)
            case 91..<95 where scenario.has(.pauses): await pause()
            case 95..<96 where scenario.has(.drops): await drop()
            case 96..<98 where scenario.has(.drops): await dropKey()
            case 96..<100: await explain()
            default: await enqueue(count)
            }
        }
    }

    // MARK: Enqueue

    private func enqueue(_ count: Int) async {
        let tenant = world.tenant(random)
        // Some jobs are named by the client library.
        let id = random.chance(70) ? "p\(index)-\(count)" : nil
        let job = newJob(id, tenant)
        if let id { world.book.sends(Book.JobName(tenant: tenant, id: id), keys: fixedKeys(job.limits)) }
        do throws(ClientError) {
            let handle = try await client.enqueue(job)
            stored(Book.JobName(tenant: tenant, id: handle.id), job)
        } catch {
            // Nobody else uses the name: an earlier send got through.
            if case .jobAlreadyExists = error, let id { stored(Book.JobName(tenant: tenant, id: id), job) } else {
                note("enqueue \(id ?? "?") of \(tenant): \(error)")
            }
        }
    }

    /// Many callers at once, each with a job.
    private func flood(_ count: Int) async {
        let tenant = world.tenant(random)
        await withDiscardingTaskGroup { group in
            for number in 0..<20 + random.below(100) {
                let job = newJob("p\(index)-\(count)-flood\(number)", tenant)
                let name = Book.JobName(tenant: tenant, id: job.id ?? "")
                world.book.sends(name, keys: fixedKeys(job.limits))
                group.addTask {
                    do throws(ClientError) {
                        _ = try await client.enqueue(job)
                        stored(name, job)
                    } catch {
                        note("enqueue \(name): \(error)")
                    }
                }
            }
        }
    }

    private func enqueueSeveral(_ count: Int) async {
        let tenant = world.tenant(random)
        let jobs = (0..<1 + random.below(6)).map { newJob("p\(index)-\(count)-\($0)", tenant) }
        let names = jobs.map { Book.JobName(tenant: tenant, id: $0.id ?? "") }
        for (name, job) in zip(names, jobs) { world.book.sends(name, keys: fixedKeys(job.limits)) }
        guard let results = try? await client.enqueue(jobs) else { return }
        for (index, result) in results.enumerated() {
            switch result {
            case .success, .failure(.jobAlreadyExists): stored(names[index], jobs[index])
            case .failure(let error): note("enqueue \(names[index]): \(error)")
            }
        }
    }

    /// All of them or none. Some are sent with one name twice: nothing of such a batch may ever be seen.
    private func enqueueAll(_ count: Int) async {
        let tenant = world.tenant(random)
        var jobs = (0..<2 + random.below(4)).map { newJob("p\(index)-\(count)-all\($0)", tenant) }
        let isRefused = random.chance(50)
        if isRefused { jobs.append(jobs[random.below(jobs.count)]) }
        let names = jobs.map { Book.JobName(tenant: tenant, id: $0.id ?? "") }
        if !isRefused { for (name, job) in zip(names, jobs) { world.book.sends(name, keys: fixedKeys(job.limits)) } }
        var request = SiloV1.EnqueueBatchRequest()
        request.shard = await caller.shard(of: tenant)
        request.jobs = zip(jobs, names).map { $0.request(id: $1.id, shard: "") }
        request.allOrNothing = true
        do {
            let results = try await caller.call(SiloV1.Silo.enqueueBatch, request).results
            guard !isRefused, results.allSatisfy({ $0.code == 0 }) else {
                return world.book.complain("a batch of all or nothing, \(names), was answered with \(results)")
            }
            for (name, job) in zip(names, jobs) { stored(name, job) }
        } catch {
            note("enqueue all of \(names): \(error)")
        }
    }

    private func stored(_ name: Book.JobName, _ job: NewJob) {
        note("stored \(name) group \(job.group) limits \(job.limits)")
        world.book.sends(name, keys: fixedKeys(job.limits))
        world.book.stored(name)
    }

    private func newJob(_ id: String?, _ tenant: String) -> NewJob {
        var job = NewJob(random.chance(75) ? "g" : "h", payload: Payload(bytes: [0x80]))
        job.id = id
        job.tenant = tenant
        job.priority = UInt32([0, 10, 50, 50, 99][random.below(5)])
        if random.chance(20) {
            job.startAt = Date(timeIntervalSince1970: Double(world.clock.now.milliseconds + Int64(random.below(40_000))) / 1000)
        }
        if scenario.has(.retries), random.chance(60) {
            job.retry = RetryPolicy(
                retries: UInt32(random.below(4)), initialInterval: .milliseconds([0, 100, 2000][random.below(3)]),
                maxInterval: .seconds(20), factor: 2, jitter: random.chance(50)
            )
        }
        job.limits = limits()
        if scenario.has(.retention), random.chance(40) { job.retention = .milliseconds(1 + random.below(60_000)) }
        return job
    }

    /// The limits of a key are always the same, so that everybody knows what is allowed.
    private func limits() -> [JobLimit] {
        var limits: [JobLimit] = []
        if scenario.has(.concurrency), random.chance(70) {
            let first = random.below(4)
            limits.append(.concurrency("k\(first)", max: Self.slots[first]))
            let second = random.below(4)
            if second != first, random.chance(50) { limits.append(.concurrency("k\(second)", max: Self.slots[second])) }
        }
        if scenario.has(.floating), random.chance(30) {
            limits.append(
                .floating("f\(random.below(2))", initialMax: 1, refreshEvery: .seconds(3), metadata: ["from": "simulation"]))
        }
        if scenario.has(.rates), random.chance(30) {
            var rate = random.chance(50)
                ? RateLimit("r", key: "token", 4, per: .seconds(6)) : RateLimit("r", key: "leaky", 3, per: .seconds(4))
            if rate.key == "leaky" { rate.algorithm = .leakyBucket(burst: 5) }
            rate.hits = Int32(random.below(3))
            if random.chance(10) { rate.behavior.insert(.drainOverLimit) }
            if random.chance(10) {
                rate.key += "-reset"
                rate.behavior.insert(.resetRemaining)
            }
            if random.chance(25) {
                rate.retry.retriesMax = UInt32(1 + random.below(3))
                rate.retry.initialBackoff = .milliseconds(200)
                rate.retry.maxBackoff = .seconds(5)
            }
            limits.append(.rate(rate))
        }
        if scenario.has(.calendars), random.chance(25) {
            limits.append(.rate(
                    random.chance(80)
                        ? RateLimit("r", key: "minute", 30, per: .calendar(.minute))
                        : RateLimit("r", key: "hour", 1000, per: .calendar(.hour))
            ))
        }
        if limits.count > 1, random.chance(50) { limits.reverse() }
        return limits
    }

    private static let slots: [UInt32] = [1, 1, 2, 3]

    private func fixedKeys(_ limits: [JobLimit]) -> [String: UInt32] {
        var keys: [String: UInt32] = [:]
        for case .concurrency(let key, let max) in limits { keys[key] = max }
        return keys
    }

    // MARK: Second thoughts

    private func known(isStored: Bool = false) -> Book.JobName? {
        let known = isStored ? world.book.acknowledged : world.book.known
        return known.isEmpty ? nil : known[known.count - 1 - random.below(min(known.count, 40))]
    }

    private func change(_ verb: String, _ body: (JobHandle) async throws(ClientError) -> Void) async {
        guard let name = known() else { return }
        if verb == "restart" { world.book.sendsRevival(name) }
        if verb == "delete" { world.book.sendsDelete(name) }
        do throws(ClientError) {
            try await body(client.job(name.id, tenant: name.tenant))
            note("\(verb) \(name): done")
            if verb == "cancel" { world.book.cancelled(name) }
        } catch {
            note("\(verb) \(name): \(error)")
        }
    }

    private func importJob(_ count: Int) async {
        var request = SiloV1.ImportJobRequest()
        var name = Book.JobName(tenant: world.tenant(random), id: "i\(index)-\(count)")
        // A job whose enqueue is under way would be made here, without its limits.
        if random.chance(50), let known = known(isStored: true) {
            name = known
            world.book.sendsRevival(name)
            var get = SiloV1.GetJobRequest()
            get.shard = await caller.shard(of: name.tenant)
            get.tenant = name.tenant
            get.id = name.id
            get.includeAttempts = true
            let attempts = try? await caller.call(SiloV1.Silo.getJob, get).attempts
            request.attempts = (attempts ?? []).compactMap { $0.imported }
        }
        request.shard = await caller.shard(of: name.tenant)
        request.tenant = name.tenant
        request.id = name.id
        request.taskGroup = "g"
        request.priority = 50
        request.limits = []
        if random.chance(50) {
            var policy = SiloV1.RetryPolicy()
            policy.retryCount = 3
            request.retryPolicy = policy
        }
        for _ in 0..<random.below(3) {
            var attempt = SiloV1.ImportAttempt()
            attempt.status = .failed
            attempt.startedAtMs = world.clock.now.milliseconds - 10
            attempt.finishedAtMs = world.clock.now.milliseconds
            attempt.errorCode = "ELSEWHERE"
            request.attempts.append(attempt)
        }
        if random.chance(30), !request.attempts.isEmpty {
            var attempt = SiloV1.ImportAttempt()
            attempt.status = random.chance(50) ? .succeeded : .cancelled
            attempt.startedAtMs = world.clock.now.milliseconds
            attempt.finishedAtMs = world.clock.now.milliseconds + 1
            request.attempts.append(attempt)
        }
        if name.id.hasPrefix("i") { world.book.sends(name, keys: [:]) }
        world.book.sendsRevival(name)
        var all = SiloV1.ImportJobsRequest()
        all.jobs = [request]
        do {
            let response = try await caller.call(SiloV1.Silo.importJobs, all)
            let result = response.results.first
            note("import \(name): \(result?.success ?? false) \(result?.error ?? "")")
            if result?.success ?? false { world.book.stored(name) }
        } catch {
            note("import \(name): \(error)")
        }
    }

    private func pause() async {
        var target = SiloV1.PauseTarget()
        let tenant = world.tenant(random)
        switch random.below(3) {
        case 0: target.target = .wholeTenant(true)
        case 1: target.target = .taskGroup(random.chance(50) ? "g" : "h")
        default: target.target = .limitKey("k\(random.below(4))")
        }
        let shard = await caller.shard(of: tenant)
        var request = SiloV1.PauseRequest()
        request.shard = shard
        request.tenant = tenant
        request.target = target
        let paused = try? await caller.call(SiloV1.Silo.pause, request)
        note("pause \(target) of \(tenant): \(paused == nil ? "unknown" : "done")")
        try? await world.clock.sleep(milliseconds: Int64(random.below(15_000)))
        var resume = SiloV1.ResumeRequest()
        resume.shard = shard
        resume.tenant = tenant
        resume.target = target
        _ = try? await caller.call(SiloV1.Silo.resume, resume)
        note("resume \(target) of \(tenant)")
    }

    private func drop() async {
        let tenant = world.tenant(random)
        world.book.sendsDrop(of: tenant)
        var request = SiloV1.DropTenantHoldersRequest()
        request.tenant = tenant
        request.shard = await caller.shard(of: tenant)
        let response = try? await caller.call(SiloV1.Silo.dropTenantHolders, request)
        note("drop holders of \(tenant): \(response.map { "\($0.holdersDropped)" } ?? "unknown")")
    }

    private func dropKey() async {
        let tenant = world.tenant(random)
        let key = random.chance(70) ? "k\(random.below(4))" : "f\(random.below(2))"
        world.book.sendsDrop(of: key, tenant)
        var request = SiloV1.DropLimitHoldersRequest()
        request.tenant = tenant
        request.limitKey = key
        request.shard = await caller.shard(of: tenant)
        let response = try? await caller.call(SiloV1.Silo.dropLimitHolders, request)
        if response != nil { world.book.dropped(key, tenant) }
        note("drop holders of \(key) of \(tenant): \(response.map { "\($0.holdersDropped)" } ?? "unknown")")
    }

    private func dropTenant() async {
        let tenant = world.tenant(random)
        world.book.sendsDropOfAll(of: tenant)
        var request = SiloV1.DropTenantRequest()
        request.tenant = tenant
        request.shard = await caller.shard(of: tenant)
        let response = try? await caller.call(SiloV1.Silo.dropTenant, request)
        note("drop tenant \(tenant): \(response.map { "\($0.drop?.jobs ?? 0) jobs" } ?? "unknown")")
    }

    private func explain() async {
        guard let name = known() else { return }
        var request = SiloV1.ExplainJobRequest()
        request.shard = await caller.shard(of: name.tenant)
        request.tenant = name.tenant
        request.id = name.id
        do {
            let response = try await caller.call(SiloV1.Silo.explainJob, request)
            note("explain \(name): \(response.summary)")
            if response.summary.isEmpty { world.book.complain("\(name) is not explained") }
        } catch {
            note("explain \(name): \(error)")
        }
    }

    private func note(_ text: @autoclosure () -> String) { world.trace.note("producer \(index): \(text())") }
}

extension SiloV1.JobAttempt {
    /// As it is imported again; nil when it runs.
    fileprivate var imported: SiloV1.ImportAttempt? {
        guard status != .running else { return nil }
        var attempt = SiloV1.ImportAttempt()
        attempt.status = status
        attempt.startedAtMs = startedAtMs
        attempt.finishedAtMs = finishedAtMs ?? 0
        attempt.result = result
        attempt.errorCode = errorCode
        attempt.errorData = errorData
        return attempt
    }
}
