import Foundation
import TestSupport
import Testing

@testable import SlateDB

@Suite(.timeLimit(.minutes(10))) struct DatabaseTests {
    @Test func readsWhatWasWritten() async throws {
        let db = try await Database.open("db", in: .memory())
        try await db.put([([1], [10]), ([2], []), ([3], [30])])
        #expect(try await db.get([1]) == [10])
        #expect(try await db.get([2]) == [])
        #expect(try await db.get([9]) == nil)
        #expect(try await db.get(many: [[3], [9], [1]]) == [[30], nil, [10]])
        var batch = WriteBatch()
        try batch.delete([1])
        try batch.put([4], [40])
        try await db.write(batch)
        #expect(try await db.scan(from: nil, to: nil, limit: 10).map(\.key) == [[2], [3], [4]])
        try await db.close()
    }

    @Test func anEmptyRangeHasNoRows() async throws {
        let db = try await Database.open("db", in: .memory())
        try await db.put([([1], [1])])
        #expect(try await db.scan(from: [2], to: [2], limit: 5).isEmpty)
        #expect(try await db.scan(from: [3], to: [2], limit: 5).isEmpty)
        try await db.close()
    }

    @Test("storage.md 12.1: an empty key is refused") func anEmptyKeyIsRefused() async throws {
        let db = try await Database.open("db", in: .memory())
        await #expect { try await db.put([([], [1])]) } throws: { error in
            guard case .invalid = error as? StorageError else { return false }
            return true
        }
        try await db.put([([1], [1])])
        try await db.close()
    }

    @Test("storage.md 12.2: an unknown setting is refused by name") func anUnknownSettingIsRefused() async throws {
        var options = OpenOptions()
        options.settings["compactor_options.max_sst_size"] = "1"
        await #expect(throws: StorageError.invalid("unknown SlateDB setting compactor_options.max_sst_size")) {
            _ = try await Database.open("db", in: .memory(), options)
        }
    }

    @Test("storage.md 12.9: a database that must exist is not made") func aMissingDatabaseIsNotMade() async throws {
        let folder = try TemporaryFolder()
        var options = OpenOptions()
        options.mustExist = true
        await #expect { _ = try await Database.open("db", in: folder.store(), options) } throws: { error in
            guard case .missing(let text) = error as? StorageError else { return false }
            return text.contains("no database")
        }
        #expect(folder.files("db") == [])
    }

    @Test func scansPageThroughManyRows() async throws {
        let db = try await Database.open("db", in: .memory())
        for start in stride(from: 0, to: 5000, by: 500) {
            try await db.put((start..<start + 500).map { (key($0), Array("value \($0)".utf8)) })
        }
        let rows = try await db.scan(from: key(10), to: key(4010), limit: 10_000)
        #expect(rows.map(\.key) == (10..<4010).map(key))
        let cursor = try await db.cursor(from: key(100), to: nil)
        #expect(try await cursor.next(3).map(\.key) == [key(100), key(101), key(102)])
        #expect(try await cursor.next(2).map(\.key) == [key(103), key(104)])
        try await db.close()
    }

    @Test func aScanOfLargeRowsGivesFewAtOnce() async throws {
        let db = try await Database.open("db", in: .memory())
        try await db.put((0..<200).map { (key($0), [UInt8](repeating: 7, count: $0 < 100 ? 10 : 10_000)) })
        let snapshot = try await db.snapshot()
        var (found, start): ([[UInt8]], [UInt8]?) = ([], nil)
        var pages = 0
        while true {
            let (rows, hasMore) = try await snapshot.scan(from: start, to: nil, limit: 150, bytesMax: 50_000)
            // A few are read before it is seen that they are large.
            #expect(rows.reduce(0) { $0 + $1.value.count } < 50_000 + 33 * 10_000)
            found += rows.map(\.key)
            pages += 1
            guard hasMore, let last = rows.last else { break }
            start = last.key + [0]
        }
        #expect(found == (0..<200).map(key))
        // The first 128, of which the last 28 are large; then 32 large ones a page.
        #expect(pages == 4)
        let all = try await snapshot.scan(from: nil, to: nil, limit: 1000, bytesMax: .max)
        #expect(all.rows.count == 200 && !all.hasMore)
        try await db.close()
    }

    @Test func aSnapshotDoesNotChange() async throws {
        let db = try await Database.open("db", in: .memory())
        try await db.put([([1], [1])])
        let snapshot = try await db.snapshot()
        try await db.put([([1], [2]), ([2], [2])])
        #expect(try await snapshot.get([1]) == [1])
        #expect(try await snapshot.scan(from: nil, to: nil, limit: 9).count == 1)
        try await db.close()
    }

    @Test func anExpiredRowIsDroppedWhenFilesAreSorted() async throws {
        let db = try await Database.open("db", in: .memory())
        var batch = WriteBatch()
        let now = ClockLag.wallClock()
        try batch.put([1], [1], expiresAtMilliseconds: now + 50)
        try batch.put([2], [2], expiresAtMilliseconds: now + 3_600_000)
        try await db.write(batch)
        try await eventually("it has expired") { ClockLag.wallClock() > now + 50 }
        try await db.put([([3], [3])])
        try await db.flush(.log)
        try await db.flush(.sortedFiles)
        #expect(try await db.get([1]) == nil)
        #expect(try await db.get([2]) == [2])
        try await db.close()
    }

    @Test func aMergeOperatorFoldsOperands() async throws {
        var options = OpenOptions()
        options.mergeOperator = { _, existing, operand in [(existing?.first ?? 0) &+ (operand.first ?? 0)] }
        let db = try await Database.open("db", in: .memory(), options)
        for amount: UInt8 in [1, 2, 3] {
            var batch = WriteBatch()
            try batch.merge([7], [amount])
            try await db.write(batch)
        }
        #expect(try await db.get([7]) == [6])
        try await db.close()
    }

    @Test func metricsCountWhatHappens() async throws {
        var options = OpenOptions()
        let metrics = Metrics()
        options.metrics = metrics
        let db = try await Database.open("db", in: .memory(), options)
        try await db.put([([1], [1])])
        _ = try await db.get([1])
        #expect(metrics.samples().contains { sample in
            guard case .counter(let count) = sample.value else { return false }
            return count > 0
        })
        try await db.close()
    }

    @Test func aCancelledTaskLeavesNothingBehind() async throws {
        let db = try await Database.open("db", in: .memory())
        try await db.put([([1], [1])])
        for _ in 0..<200 {
            let task = Task { try await db.flush(.log); return try await db.get([1]) }
            task.cancel()
            #expect(try await task.value == [1])
        }
        try await db.close()
    }

    @Test func closingTwiceIsHarmlessAndLaterCallsAreRefused() async throws {
        let db = try await Database.open("db", in: .memory())
        try await db.close()
        try await db.close()
        #expect(!db.isOpen)
        await #expect { try await db.put([([1], [1])]) } throws: { error in
            guard case .closed = error as? StorageError else { return false }
            return true
        }
    }
}
