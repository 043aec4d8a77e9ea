import Foundation
import TestSupport
import Testing

@testable import SlateDB

/// SlateDB stamps writes with the wall clock, and takes none whose stamp would go back. What happens under a clock that is really
/// behind is in `Tests/Integration/test_storage_clock.py`.
@Suite(.timeLimit(.minutes(10))) struct ClockTests {
    @Test("SlateDB's refusal of a stamp is read from its text")
    func theRefusalIsRead() {
        let text = "Invalid error: invalid clock tick, must be monotonic. last_tick=`1795864849319`, next_tick=`1795864799331`"
        #expect(ClockLag(refusal: text) == ClockLag(lastWrite: 1_795_864_849_319, now: 1_795_864_799_331))
        #expect(ClockLag(refusal: text)?.milliseconds == 49_988)
        for other in ["", "invalid clock tick", "invalid key `1` and `2`"] { #expect(ClockLag(refusal: other) == nil) }
    }

    @Test("a lag says how far, and when writes are taken again")
    func aLagExplainsItself() {
        let lag = ClockLag(lastWrite: 1_795_864_849_319, now: 1_795_864_799_331)
        #expect(lag.description == """
            this machine's clock is 50.0 s behind the last write here; set it right, or wait: reads are served, \
            writes are taken again when it has passed 2026-11-28T11:20:49.319Z
            """)
    }

    @Test("a change is made again while two clocks differ by a step, and not for ever; one that is far behind is told")
    func clocksThatDifferAreWaitedFor() async throws {
        var calls = 0
        func refused(_ lag: Int64, times: Int) async throws(StorageError) -> Int {
            calls = 0
            return try await changing {
                calls += 1
                guard calls > times else { throw StorageError.clockBehind(ClockLag(lastWrite: lag, now: 0)) }
                return calls
            }
        }
        #expect(try await refused(1, times: 3) == 4)
        await #expect(throws: StorageError.self) { try await refused(1, times: .max) }
        #expect(calls == 6)
        await #expect(throws: StorageError.self) { try await refused(5000, times: .max) }
        #expect(calls == 1)
    }

    @Test("the stamp of the last write outlives the process, whether it was closed or not", arguments: [true, false])
    func theLastStampIsKnownAfterOpening(isClosed: Bool) async throws {
        let folder = try TemporaryFolder()
        let before = ClockLag.wallClock()
        do {
            let db = try await Database.open("db", in: folder.store())
            try await db.put([([1], [1])])
            try await db.flush(.log)
            if isClosed { try await db.close() }
        }
        let after = ClockLag.wallClock()
        let db = try await Database.open("db", in: folder.store())
        let manifest = try #require(try await Admin("db", in: folder.store()).manifest())
        #expect((before...after).contains(manifest.lastWrite))
        #expect(db.clockLag == nil)
        try await db.close()
    }

    @Test("a new database knows no write, and is not behind")
    func aNewDatabaseIsNotBehind() async throws {
        let db = try await Database.open("db", in: .memory())
        #expect(db.clockLag == nil)
        try await db.put([([1], [1])])
        #expect(db.clockLag == nil)
        try await db.close()
    }
}
