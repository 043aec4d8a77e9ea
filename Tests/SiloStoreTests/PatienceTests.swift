import SiloCore
import SiloTesting
import TestSupport
import Testing

@testable import SiloStore

/// What is on its way below stands still, and memory is full.
@Suite(.timeLimit(.minutes(10))) struct PatienceTests {
    private let folder: TemporaryFolder
    private let clock = ManualClock()
    private let below: FaultyStore
    private let budget = LogBudget(overlayBytes: 10_000)

    init() throws {
        folder = try TemporaryFolder()
        below = FaultyStore(MemoryStore(clock: clock))
    }

    /// A store whose checkpoint does not end.
    private func stuck(hasSpace: Bool) async throws -> LoggedStore {
        let disk = try FolderLogDisk("\(folder.path)/log")
        var place = LogPlace("shard", disk, try LogThread(), in: Environment(clock: clock, random: SeededRandom(seed: 1)))
        place.hasSpace = { hasSpace }
        let store = try await LoggedStore.open(below, place, budget)
        below.set { $0.holdFlushes = true }
        try await store.write([Write(key: [1], value: Bytes(repeating: 1, count: 20_000))])
        return store
    }

    /// Writes once more, while seconds pass and others that share the budget wake who waits.
    private func write(to store: LoggedStore, seconds: Int) async throws -> Box<Result<Timestamp, StoreError>> {
        let answers = Box<Result<Timestamp, StoreError>>()
        let clock = clock
        // Ends with the store.
        Task {
            do throws(StoreError) {
                try await store.write([Write(key: [2], value: [2])])
                answers.add(.success(clock.steady))
            } catch {
                answers.add(.failure(error))
            }
        }
        var passed = 0
        try await eventually("\(seconds) s to pass, or an answer") {
            clock.advance(milliseconds: 1000)
            budget.wake()
            passed += 1
            return passed >= seconds || answers.count > 0
        }
        return answers
    }

    @Test("where there is no space a write waits for ten seconds, whoever is woken meanwhile, and then no change should begin")
    func fullDisk() async throws {
        let store = try await stuck(hasSpace: false)
        let begun = clock.steady
        let answers = try await write(to: store, seconds: 1000)
        guard case .success(let end) = answers.all.first, case .full(let text) = store.refusal else {
            Issue.record("\(answers.all), \(String(describing: store.refusal))")
            return
        }
        #expect(text.contains("is the disk full?"))
        #expect(end - begun >= 10_000)
        #expect(try await store.get([2]) == [2], "it was under way")
        try await store.write([Write(key: [3], value: [3])])
        below.set { $0.holdFlushes = false }
        try await store.close()
    }

    @Test("where there is space it may only be slow: a write waits, and is taken when there is room")
    func slowStore() async throws {
        let store = try await stuck(hasSpace: true)
        let answers = try await write(to: store, seconds: 200)
        #expect(answers.count == 0)
        below.set { $0.holdFlushes = false }
        try await answers.until(1)
        #expect(try await store.get([2]) == [2])
        try await store.close()
    }
}
