import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

/// A shard that a scenario's commands act on, and the names by which they call what it gave out.
final class ScenarioWorld {
    private(set) var bench: Bench
    private var audit = RunningAudit()
    private let start: Timestamp
    private var rows: [Row] = []
    private var view: StoredView
    /// The shard has just been opened anew: the next command meets it before it has read what it does not serve from the start.
    private var isFresh = false

    private var tasks: [String: LeasedTask] = [:]
    private var refreshes: [String: LeasedRefresh] = [:]
    private var names: [TaskID: String] = [:]

    init(_ settings: EngineSettings) async throws {
        bench = try await Bench.open { $0 = settings }
        start = bench.now
        view = try StoredView(since: start)
        try look()
    }

    var stored: [String] { view.all }
    func sinceStart(_ time: Timestamp) -> ScenarioTime { ScenarioTime(milliseconds: time - start) }

    // MARK: Commands

    /// Runs a command and says what it answered and what that changed. A refused one changes no row.
    func output(of step: ScenarioStep) async throws -> [String] {
        let (before, rowsBefore) = (view, rows)
        let answers: [String]
        var isRefused = false
        do {
            answers = try await step(self)
        } catch let error as SiloError {
            if case .unavailable(let why, _) = error { throw stopped(why) }
            answers = ["refused: \(Self.text(error))"]
            isRefused = true
        }
        // What is done in small steps is done over several turns.
        if bench.settings.grantsMax < EngineSettings().grantsMax, !isFresh { try await bench.settle(16) }
        isFresh = false
        try look()
        let changes = view.changes(from: before)
        let isHidden = rows != rowsBefore && (isRefused || changes.isEmpty)
        let output = answers + changes + (isHidden ? ["rows that are not shown have changed"] : [])
        return output.isEmpty ? ["ok"] : output
    }

    /// Checks what holds when all is done, and ends.
    func finish(_ location: SourceLocation) async throws {
        do { try await bench.finish(location) } catch let error as StoreError { throw stopped(error.message) }
    }

    /// Audits what was written since the last look. Commands that write in several steps look after each.
    func look() throws {
        // A shard that finds no rest would go on for ever.
        bench.store.set { faults in
            faults.callsLeft = Self.callsMax
            faults.error = .unavailable("the shard found no rest in \(Self.callsMax) calls of its store")
        }
        let now = bench.memory.rows
        let before = Dictionary(rows.map { ($0.key, $0.value) }) { first, _ in first }
        let keys = Set(now.map(\.key))
        let written = now.filter { before[$0.key] != $0.value }.map { Write(key: $0.key, value: $0.value) }
        let deleted = rows.filter { !keys.contains($0.key) }.map { Write(key: $0.key, value: nil) }
        rows = now
        view = try StoredView(now, since: start)
        let violations = audit.apply(written + deleted)
        if !violations.isEmpty { throw ScenarioMistake(violations.joined(separator: "\n")) }
    }

    /// The shard has stopped: its rows show with what it was busy.
    private func stopped(_ why: String) -> ScenarioMistake {
        let view = try? StoredView(bench.memory.rows, since: start)
        return ScenarioMistake(([why, "---- its rows"] + (view?.all ?? [])).joined(separator: "\n"))
    }

    /// Reads, writes and flushes between two looks: no scenario comes near.
    private static let callsMax = 1000

    /// The audit counts hits by itself, and does not know of buckets that a job sets back.
    func forgetBuckets() { audit.clockWasSet() }

    func crash() async throws {
        bench = try await bench.crash()
        isFresh = true
    }

    // MARK: Names

    /// Gives what a worker got its names, and says them.
    func note(_ leased: Leased) -> [String] {
        let tasks = leased.tasks.map { note($0) }
        return (tasks.isEmpty ? [] : [tasks.joined(separator: ", ")]) + leased.refreshes.map { note($0) }
    }

    func note(_ task: LeasedTask) -> String {
        let job = StoredView.name(task.job.id, of: task.tenant.name)
        // A task that was given back and leased again is another.
        let name = named(task.id) { "\(job)/\(task.attempt)" + ($0 == 1 ? "" : "#\($0)") }
        tasks[name] = task
        let payload = task.job.payload
        guard let first = payload.first else { return name }
        return "\(name) with \(payload.count) bytes" + (payload.allSatisfy { $0 == first } ? " of \(first)" : ", mixed")
    }

    private func note(_ refresh: LeasedRefresh) -> String {
        let limit = StoredView.name(refresh.limit.text, of: refresh.tenant.name)
        let name = named(refresh.id) { "\(limit)#\($0)" }
        refreshes[name] = refresh
        let date = refresh.lastRefreshedAt
        let last = date.milliseconds == 0 ? "never refreshed" : "refreshed \(sinceStart(date))"
        return "refresh \(name): of \(refresh.currentMax), \(last), for group \(refresh.group)\(RowWords.text(refresh.metadata))"
    }

    /// The name that it has, or the first that is free.
    private func named(_ id: TaskID, _ name: (Int) -> String) -> String {
        if let known = names[id] { return known }
        var number = 1
        while tasks[name(number)] != nil || refreshes[name(number)] != nil { number += 1 }
        names[id] = name(number)
        return name(number)
    }

    /// The identity of a task or refresh that was leased.
    func claim(_ name: String) throws(ScenarioMistake) -> (tenant: Tenant, id: TaskID) {
        if let refresh = refreshes[name] { return (refresh.tenant, refresh.id) }
        guard let task = tasks[name] else { throw ScenarioMistake("no task \(name) has been leased") }
        return (task.tenant, task.id)
    }

    /// The tenant and the id of a job.
    func job(_ name: String) -> (tenant: Tenant, id: JobID) {
        guard let colon = name.firstIndex(of: ":") else { return (Bench.tenant, JobID(name)) }
        return (Tenant(String(name[..<colon])), JobID(String(name[name.index(after: colon)...])))
    }

    static func text(_ error: SiloError) -> String {
        guard case .jobRefused(let operation, let id, let reason, let state) = error else { return "\(error)" }
        return "\(operation) \(id) (\(state.rawValue)): \(reason)"
    }
}

/// A command that makes no sense at this point, or that breaks an invariant.
struct ScenarioMistake: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
