import Foundation
import SlateDB
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct DurabilityTests {
    private var options: OpenOptions {
        var options = OpenOptions()
        options.settings["flush_interval"] = "\"3600s\""
        return options
    }

    @Test(
        "storage.md 12.13: what was flushed outlives a handle that was dropped without closing", arguments: [true, false])
    func flushedRowsSurvive(hasLog: Bool) async throws {
        let folder = try TemporaryFolder()
        var options = options
        options.hasLog = hasLog
        do {
            let db = try await Database.open("db", in: folder.store(), options)
            #expect(db.durability == .syncedFiles)
            try await db.put([([1], [1])])
            try await db.flush(hasLog ? .log : .sortedFiles)
            try await db.put([([2], [2])])
        }
        let db = try await Database.open("db", in: folder.store(), options)
        #expect(try await db.get([1]) == [1])
        if !hasLog { #expect(try await db.get([2]) == nil) }
        try await db.close()
    }

    @Test("what an opening left in its log is there for one without a log")
    func aLogThatIsGivenUpIsReplayed() async throws {
        let folder = try TemporaryFolder()
        var options = options
        do {
            let db = try await Database.open("db", in: folder.store(), options)
            try await db.put([([1], [1])])
            try await db.flush(.log)
        }
        options.hasLog = false
        for _ in 0..<2 {
            let db = try await Database.open("db", in: folder.store(), options)
            #expect(try await db.get([1]) == [1])
            try await db.close()
        }
    }

    @Test func aSecondWriterFencesTheFirst() async throws {
        let folder = try TemporaryFolder()
        let first = try await Database.open("db", in: folder.store(), options)
        try await first.put([([1], [1])])
        try await first.flush(.log)
        let second = try await Database.open("db", in: folder.store(), options)
        await #expect {
            try await first.put([([1], [9])])
            try await first.flush(.log)
        } throws: { error in
            guard case .fenced = error as? StorageError else { return false }
            return true
        }
        #expect(try await second.get([1]) == [1])
        try await second.close()
    }

    @Test func theLogMayLieInAStoreOfItsOwn() async throws {
        let data = try TemporaryFolder()
        let log = try TemporaryFolder()
        var separate = options
        separate.logStore = try log.store()
        let db = try await Database.open("db", in: data.store(), separate)
        try await db.put([([1], [1])])
        try await db.flush(.log)
        try await db.close()
        #expect(!log.files("db/wal").isEmpty)
        #expect(data.files("db/wal").isEmpty)
        let again = try await Database.open("db", in: data.store(), separate)
        #expect(try await again.get([1]) == [1])
        try await again.close()
    }

    @Test func aCloneTakesOverRangesOfSeveralDatabases() async throws {
        let folder = try TemporaryFolder()
        for (name, values) in [("left", 0..<10), ("right", 10..<20)] {
            let db = try await Database.open(name, in: folder.store(), options)
            try await db.put(values.map { (key($0), [UInt8($0)]) })
            // A range can be cloned only when no log file is left to replay (storage.md 9.2).
            try await db.put([([0], [0])])
            var batch = WriteBatch()
            try batch.delete([0])
            try await db.write(batch)
            try await db.flush(.log)
            try await db.flush(.sortedFiles)
            try await db.close()
        }
        let admin = try Admin("both", in: folder.store())
        try await admin.clone(from: [
            Admin.Source(path: "left", start: key(0), end: key(10)), Admin.Source(path: "right", start: key(10), end: nil),
        ])
        let both = try await Database.open("both", in: folder.store(), options)
        #expect(try await both.scan(from: nil, to: nil, limit: 100).map(\.key) == (0..<20).map(key))
        try await both.close()

        try await Admin("half", in: folder.store()).clone(from: [Admin.Source(path: "left", start: key(5), end: nil)])
        let half = try await Database.open("half", in: folder.store(), options)
        #expect(try await half.scan(from: nil, to: nil, limit: 100).map(\.key) == (5..<10).map(key))
        try await half.close()
    }

    @Test func siblingsAreJoinedOnlyWhenTheyShareNoFile() async throws {
        let folder = try TemporaryFolder()
        var options = options
        options.hasLog = false
        let parent = try await Database.open("parent", in: folder.store(), options)
        try await parent.put((0..<20).map { (key($0), [UInt8($0)]) })
        try await parent.flush(.sortedFiles)
        try await parent.close()
        let halves = [
            Admin.Source(path: "left", start: key(0), end: key(10)), Admin.Source(path: "right", start: key(10), end: nil),
        ]
        for half in halves {
            let source = Admin.Source(path: "parent", start: half.start, end: half.end)
            try await Admin(half.path, in: folder.store()).clone(from: [source])
        }
        await #expect {
            try await Admin("both", in: folder.store()).clone(from: halves)
        } throws: { error in
            "\(error)".contains("left and right share a file")
        }
        try await compact("right", in: folder)
        try await Admin("both", in: folder.store()).clone(from: halves)
        try await compact("both", in: folder)
        let both = try await Database.open("both", in: folder.store(), options)
        #expect(try await both.scan(from: nil, to: nil, limit: 100).map(\.key) == (0..<20).map(key))
        try await both.close()
    }

    /// Merges a database into files of its own.
    private func compact(_ path: String, in folder: TemporaryFolder) async throws {
        var options = options
        options.hasLog = false
        options.settings["compactor_options.poll_interval"] = "\"20ms\""
        options.settings["compactor_options.worker.compactions_poll_interval"] = "\"20ms\""
        let database = try await Database.open(path, in: folder.store(), options)
        let admin = try Admin(path, in: folder.store())
        let merge = try #require(try await admin.submitFullCompaction(always: true))
        try await eventually("the merge of \(path) to end") { try await admin.progress(of: merge) == .done }
        try await database.close()
    }

    @Test func checkpointsAreMadeListedAndDeleted() async throws {
        let folder = try TemporaryFolder()
        let db = try await Database.open("db", in: folder.store(), options)
        try await db.put([([1], [1])])
        try await db.flush(.sortedFiles)
        let admin = try Admin("db", in: folder.store())
        let id = try await admin.makeCheckpoint(name: "mine", lifetimeMilliseconds: nil)
        #expect(try await admin.checkpoints(named: "mine") == [id])
        try await admin.deleteCheckpoint(id)
        #expect(try await admin.checkpoints(named: "mine") == [])
        #expect(try await admin.manifest()?.flushedFiles == 1)
        try await db.close()
        try await admin.delete()
        #expect(try await admin.manifest() == nil)
    }
}
