import Protobuf
import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// A line of one tenant with these limits, and nobody in it.
private func line(_ limits: [StorageV1.Limit]) -> Line {
    var record = StorageV1.Line()
    record.limits = limits
    return Line(Line.ID(tenant: Bench.tenant, line: LineID(of: limits)), record, isStored: false)
}

extension Line {
    fileprivate func add(_ order: UInt64, _ job: String = "job") {
        window.insert(
            PendingTask(Position(order: order, arrival: 0, job: JobID("\(job)\(order)")), StorageV1.Task()), capacity: .max)
    }
    fileprivate func remove(_ order: UInt64) { window.remove(Position(order: order, arrival: 0, job: JobID("job\(order)"))) }
}

@Suite(.timeLimit(.minutes(10))) struct WaitingLinesTests {
    private let limit = SlotLimit(Bench.tenant, LimitKey("x"), nil, drops: 0)

    /// A line named by number that waits at the limit with a job of each order.
    private func wait(_ number: Int, _ orders: UInt64..., max: UInt32? = 1) -> Line {
        let line = line([slots("x", max ?? 0), slots("line \(number)", 1)])
        for order in orders { line.add(order) }
        limit.lines.add(line, max: max, at: limit)
        return line
    }

    private func first(_ hasRoom: (UInt32?) -> Bool = { _ in true }) -> Line? { limit.lines.first(of: limit, hasRoom: hasRoom) }

    // MARK: The structure by itself

    @Test("the first line is the one whose head has the lowest rank, whenever it came")
    func first() {
        _ = wait(1, 50)
        let second = wait(2, 20, 90)
        _ = wait(3, 30)
        #expect(first() === second)
        #expect(first() === second, "looking takes nothing away")
        #expect(limit.lines.count == 3)
        #expect(limit.lines.all.count == 3)
    }

    @Test("a head that is taken or cancelled makes way for the next rank")
    func headTaken() {
        let a = wait(1, 10, 40)
        let b = wait(2, 20)
        let c = wait(3, 30)
        _ = a.window.popFirst()
        #expect(first() === b)
        b.remove(20)
        b.add(60)
        #expect(first() === c)
        c.remove(30)
        c.add(70)
        #expect(first() === a)
        #expect(first() === a)
    }

    @Test("a more urgent newcomer brings its line to the front")
    func urgent() {
        _ = wait(1, 10)
        let b = wait(2, 20)
        b.add(5)
        limit.lines.enter(b)
        #expect(first() === b)
        b.remove(5)
        #expect(first() !== b)
        #expect(limit.lines.count == 2)
        #expect(limit.lines.all.count == 2, "each line counts once, however often its head changed")
    }

    @Test("a line that left is not found, and stands last again when it comes back so")
    func leaves() {
        let a = wait(1, 10)
        let b = wait(2, 20)
        limit.lines.remove(a)
        #expect(a.blockedAt == nil)
        #expect(first() === b)
        a.remove(10)
        a.add(30)
        limit.lines.add(a, max: 1, at: limit)
        #expect(a.blockedAt === limit)
        #expect(first() === b)
        limit.lines.remove(b)
        #expect(first() === a)
        limit.lines.remove(a)
        #expect(first() == nil)
        #expect(limit.lines.isEmpty)
    }

    @Test("lines with other maxima are found by those that have room, in order of rank among them")
    func maxima() {
        let one = wait(1, 10, max: 1)
        let five = wait(2, 20, max: 5)
        let floats = wait(3, 30, max: nil)
        #expect(first() === one)
        #expect(first { ($0 ?? 3) > 2 } === five)
        #expect(first { $0 == nil } === floats)
        #expect(first { ($0 ?? 0) > 5 } == nil)
        limit.lines.remove(five)
        limit.lines.add(five, max: nil, at: limit)
        #expect(first { $0 == nil } === five)
        #expect(first { $0 == 5 } == nil)
    }

    @Test("lines of one rank come in a fixed order")
    func ties() {
        let lines = [wait(1, 10), wait(2, 10), wait(3, 10)]
        let expected = lines.min { $0.id.line.hash < $1.id.line.hash }
        #expect(first() === expected)
        // The first job's name decides before that, whatever its line is called.
        for line in lines {
            line.add(10, "earlier")
            limit.lines.enter(line)
            #expect(first() === line)
            line.window.remove(Position(order: 10, arrival: 0, job: JobID("earlier10")))
            limit.lines.enter(line)
        }
    }

    @Test("the lowest are those of a model that looks at every line, and some of them where many left", arguments: [1, 2, 3])
    func lowest(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        var lines: [Line] = []
        for number in 0..<400 {
            lines.append(wait(number, UInt64(random.below(1000)), UInt64(1000 + number), max: [1, 2, nil][random.below(3)]))
            if random.chance(20) { _ = lines[random.below(lines.count)].window.popFirst() }
        }
        // A line whose last job went would be taken out.
        for line in lines where line.window.first == nil { limit.lines.remove(line) }
        lines = lines.filter { $0.window.first != nil }
        let all = limit.lines.all.map(\.head).sorted()
        for count in [1, 10, 100, 1000] {
            let lowest = limit.lines.lowest(count)
            #expect(lowest.map(\.head) == Array(all.prefix(lowest.count)) && lowest.count <= count && !lowest.isEmpty)
            if count >= 100 { #expect(lowest.count == min(count, all.count)) }
        }
        // Half of them leave, the lowest ones: what they left behind is passed by as far as there is time.
        for line in lines.sorted(by: { $0.head < $1.head }).prefix(lines.count / 2) { limit.lines.remove(line) }
        let rest = limit.lines.all.map(\.head).sorted()
        for count in [1, 10, 100, 1000] {
            let lowest = limit.lines.lowest(count)
            #expect(lowest.map(\.head) == Array(rest.prefix(lowest.count)) && lowest.count <= count)
        }
        #expect(limit.lines.lowest(1000).count == rest.count)
    }

    @Test("of more lines than are looked at, those whose first jobs come first are")
    func beyondTheBound() async throws {
        // The most urgent come so that the last of them is far behind in the heap of lines, which has no other order.
        var urgent = [8191]
        while let last = urgent.last, last > 0 { urgent.append((last - 1) / 2) }
        let (store, isUrgent) = (MemoryStore(clock: ManualClock()), Set(urgent))
        for number in 0..<8192 {
            let line = wait(number, UInt64(isUrgent.contains(number) ? number : 10_000 + number))
            guard isUrgent.contains(number) else { continue }
            let row = Write(key: line.keys.waiting(line.id.line, line.head), value: StorageV1.Task().serializedBytes())
            try await store.write([row])
        }
        let first = try await LinesAtLimit(limit).first(urgent.count, store)
        #expect(first.map(\.id.text) == urgent.reversed().map { "job\($0)" })
    }

    @Test("the first is that of a model that looks at every line, through random lives", arguments: 0..<12 as Range<UInt64>)
    func model(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        let maxima: [UInt32?] = [1, 2, 5, nil]
        let lines = (0..<20).map { line([slots("line \($0)", 1)]) }
        var waits: [Int: (max: UInt32?, orders: Set<UInt64>)] = [:]
        var next: UInt64 = 1000
        for step in 0..<3000 {
            let number = random.below(lines.count)
            let line = lines[number]
            switch random.below(6) {
            case 0, 1:
                // Ranks differ, so that there is one first.
                next += 1
                let order = random.chance(20) ? 500_000 - next : 1_000_000 + UInt64(random.below(1000)) * 10_000 + next
                let head = line.head.order
                line.add(order)
                if waits[number] == nil {
                    let max = maxima[random.below(maxima.count)]
                    waits[number] = (max, [order])
                    limit.lines.add(line, max: max, at: limit)
                } else {
                    waits[number]?.orders.insert(order)
                    if line.head.order < head { limit.lines.enter(line) }
                }
            case 2, 3:
                guard let order = waits[number]?.orders.sorted().randomElement(random) else { continue }
                line.remove(order)
                waits[number]?.orders.remove(order)
                if waits[number]?.orders.isEmpty ?? false {
                    waits[number] = nil
                    limit.lines.remove(line)
                }
            case 4:
                guard let entry = waits[number] else { continue }
                // Looked at, and blocked at the same limit with another maximum.
                let max = maxima[random.below(maxima.count)]
                limit.lines.remove(line)
                limit.lines.add(line, max: max, at: limit)
                waits[number] = (max, entry.orders)
            default:
                let open = maxima.filter { _ in random.chance(60) }
                let found = first { open.contains($0) }
                let expected = waits.filter { open.contains($0.value.max) }.min {
                    $0.value.orders.min() ?? 0 < $1.value.orders.min() ?? 0
                }
                guard found === expected.map({ lines[$0.key] }) else {
                    Issue.record("seed \(seed), step \(step): another line is first")
                    return
                }
            }
            guard limit.lines.count == waits.count, limit.lines.all.count == waits.count else {
                Issue.record("seed \(seed), step \(step): \(limit.lines.all.count) lines, \(waits.count) expected")
                return
            }
        }
    }

    @Test("limits that ask for the same make one line; whatever decides about a start makes another")
    func names() {
        let limits: [[StorageV1.Limit]] = [
            [], [slots("x", 1)], [slots("x", 2)], [slots("y", 1)], [floating("x", 1)], [slots("x", 1), slots("y", 1)],
            [slots("y", 1), slots("x", 1)], [rate("k", 1)], [rate("k", 2)], [rate("k", 1, per: 1)], [rate("k", 1, hits: 0)],
            [rate("k", 1, leaky: true)], [rate("k", 1, leaky: true, burst: 3)], [rate("k", 1, behavior: 8)], [rate("l", 1)],
        ]
        #expect(Set(limits.map { LineID(of: $0) }).count == limits.count)
        #expect(LineID(of: [floating("x", 1)]) == LineID(of: [floating("x", 7, every: 9, metadata: ["a": "b"])]))
        #expect(LineID(of: [slots("ab", 1), slots("c", 1)]) != LineID(of: [slots("a", 1), slots("bc", 1)]))
    }

    // MARK: In the engine

    /// A job that waits for the one slot of `x`, in a line of its own or of others with the same number.
    private func limits(_ number: Int) -> [StorageV1.Limit] { [slots("x", 1), slots("line \(number)", 1000)] }

    @Test("14.50 14.55 L15 L22: of many lines at one limit the most urgent job starts, one after another", arguments: [1024, 1])
    func manyLines(grantsMax: Int) async throws {
        let random = SeededRandom(seed: 3)
        let bench = try await Bench.open { $0.grantsMax = grantsMax }
        try await bench.enqueue("holder", priority: 0, limits: limits(0))
        let holder = try await bench.leaseOne()
        var expected: [(priority: Int, id: String)] = []
        for index in 100..<220 {
            // No two have one rank.
            bench.clock.advance(milliseconds: 1)
            let priority = random.below(100)
            try await bench.enqueue("\(index)", priority: UInt32(priority), limits: limits(random.below(50)))
            expected.append((priority, "\(index)"))
        }
        for _ in 0..<40 { try await bench.cancel(expected.remove(at: random.below(expected.count)).id) }
        try await bench.succeed(holder)
        try await bench.settle()
        #expect(try await bench.runAll() == expected.sorted { $0 < $1 }.map(\.id))
        #expect(bench.shard.counts.lines == 0)
        try await bench.finish()
    }

    @Test("L17: one look a turn forgets nobody: lines that move and lines that are let in", arguments: [1, 2, 3] as [UInt64])
    func oneLook(seed: UInt64) async throws {
        let random = SeededRandom(seed: seed)
        var bench = try await Bench.open(nil, tiny)
        var tasks: [LeasedTask] = []
        for index in 0..<60 {
            let keys = ["A", "B", "C"].filter { _ in random.chance(60) }
            let limits = keys.map { slots($0, 1 + UInt32(random.below(3))) }
            try await bench.enqueue("\(index)", priority: UInt32(random.below(100)), limits: limits)
            if random.chance(50) { tasks += try await bench.lease(2) }
            if random.chance(50), !tasks.isEmpty { try await bench.succeed(tasks.remove(at: random.below(tasks.count))) }
            if random.chance(10) { bench = try await bench.crash() }
        }
        try await bench.succeed(tasks)
        try await bench.settle(100)
        #expect(ShardAudit(bench.memory.rows).stuckLines == [])
        var count = 0
        try await untilNothingIsLeft {
            let more = try await bench.lease(5)
            try await bench.succeed(more)
            try await bench.settle(70)
            #expect(ShardAudit(bench.memory.rows).stuckLines == [])
            count += more.count
            return !more.isEmpty
        }
        #expect(count > 0)
        #expect(try await bench.waitingCount() == 0)
        try await bench.finish()
    }

    @Test("14.53 14.61: more lines than are read at once are all found after a crash, and those that come meanwhile join them")
    func manyAfterCrash() async throws {
        var bench = try await Bench.open { $0.leaseMilliseconds = 1_000_000 }
        try await bench.enqueue("holder", limits: limits(0))
        let holder = try await bench.leaseOne()
        let count = TendLimits.countMax + 100
        let jobs = (0..<count).map { newJob("job \(1000 + $0)", limits: limits($0)) }
        _ = try await bench.shard.run(EnqueueAll(jobs))
        bench = try await bench.crash()
        // The first command of all: nothing has been read.
        try await bench.enqueue("urgent", priority: 1, limits: limits(count - 1))
        #expect(try await bench.place("urgent") == .waiting)
        try await bench.settle()
        #expect(bench.shard.counts.lines == count)
        try await bench.succeed(holder)
        #expect(try await bench.drain(5) == ["urgent"])
        #expect(bench.violations == [])
        try await bench.finish()
    }

    @Test("14.17 L18: rows of waiting jobs that cannot be read are set aside, and those behind them start")
    func unreadable() async throws {
        var bench = try await Bench.open()
        for id in ["a", "b", "c", "d"] { try await bench.enqueue(id, limits: limits(1)) }
        let keys = TenantKeys(Bench.tenant)
        let line = LineID(of: limits(1))
        let bad = [try await bench.position("b"), try await bench.position("c")]
        let memory = bench.memory.crash()
        for position in bad { try await memory.write([Write(key: keys.waiting(line, position), value: [0xff])]) }
        bench = try await Bench.open(memory, at: bench.now)
        try await bench.settle()
        #expect(try await bench.drain(5) == ["a"])
        let task = try #require(try await bench.job("a")?.lease)
        let id = TaskID(try #require(UUID(bytes: task.taskId)))
        try await bench.shard.run(ReportOutcome(tenant: Bench.tenant, task: id, outcome: .success(result: [])))
        #expect(try await bench.drain(5) == ["d"])
        #expect(try await bench.waitingCount() == 0)
        #expect(ShardAudit(bench.memory.rows).setAside == 2)
        try await bench.shard.close()
    }
}

extension Array {
    fileprivate func randomElement(_ random: SeededRandom) -> Element? { isEmpty ? nil : self[random.below(count)] }
}
