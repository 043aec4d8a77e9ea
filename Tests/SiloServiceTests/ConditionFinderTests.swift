import SiloCore
import SiloStore
import SiloTesting
import TestSupport
import Testing

@testable import SiloEngine
@testable import SiloService

/// What it means for a bulk action that its condition has no answer.
@Suite(.timeLimit(.minutes(10))) struct ConditionFinderTests {
    private let clock = ManualClock()
    private let store: FaultyStore

    init() { store = FaultyStore(MemoryStore(clock: clock)) }

    /// Nil: it was answered.
    private func failure(_ condition: String) async -> FindError? {
        var settings = QuerySettings()
        settings.statementTimeoutMilliseconds = 1000
        let finder = ConditionFinder(ShardID(UUID(high: 1, low: 1)), settings, clock)
        let search = JobSearch(
            condition: condition, tenants: [Tenant("-")], now: clock.now, from: TenantKeys(Tenant("-")).jobs.start,
            to: TenantKeys(Tenant("-")).jobs.end, rowsMax: 1)
        do throws(FindError) {
            _ = try await finder.find(search, in: store, at: clock.moment)
            return nil
        } catch {
            return error
        }
    }

    @Test("a store that does not answer is waited for, whatever the condition")
    func slowStore() async throws {
        store.set { $0.holdReads = true }
        async let found = failure("priority >= 0")
        try await store.changes.wait { store.heldCount > 0 }
        clock.advance(milliseconds: 1000)
        guard case .store(.unavailable)? = await found else {
            Issue.record("\(String(describing: await found))")
            return
        }
        store.set { $0.holdReads = false }
        #expect(await failure("priority >= 0") == nil)
    }
}
