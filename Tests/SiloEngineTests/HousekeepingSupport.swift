import SiloCore
import SiloStore
import SiloTesting
import TestSupport

@testable import SiloEngine

extension Bench {
    /// The time between two looks of the shard's housekeeper: no other length in a test.
    static let housekeeping: Int64 = 777

    /// A shard that is kept in order, over a database that may have been used before.
    static func kept(
        _ retention: Retention = Retention(), _ memory: MemoryStore? = nil, _ change: (inout EngineSettings) -> Void = { _ in }
    ) async throws -> Bench {
        try await open(memory) {
            $0.housekeepingMilliseconds = housekeeping
            $0.retention = retention
            change(&$0)
        }
    }

    /// Time passes, and once more the housekeeper does all that there is to be done.
    func keepHouse(after milliseconds: Int64 = 0) async throws {
        try await until("the housekeeper sleeps") { !clock.sleepers.isEmpty }
        clock.advance(milliseconds: milliseconds + Self.housekeeping)
        try await until("the housekeeper is done") { clock.sleepers.contains(clock.steady + Self.housekeeping) }
        try await poke()
    }

    /// Until the time of what ended now, in the minute that it ended in, is `milliseconds` ago, but for `early`.
    func keepHouse(untilEndedNowIs milliseconds: Int64, early: Int64 = 0) async throws {
        let left = FinishedPeriod(of: now).last - now + milliseconds - early - Self.housekeeping
        try await keepHouse(after: left)
    }

    /// Everything of tenants, every index included.
    var tenantRows: [Row] { memory.rows.filter { Slice(of: $0.key) != nil } }
}
