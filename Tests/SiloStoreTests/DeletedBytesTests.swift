import SiloCore
import SlateDB
import SiloStore
import TestSupport
import Testing

@Suite("What deleted rows take up in files", .timeLimit(.minutes(10))) struct DeletedBytesTests {
    @Test("rows that were deleted before a merge of all files was begun are gone when it is done, whoever asked for it")
    func merges() async throws {
        let folder = try TemporaryFolder()
        var options = OpenOptions()
        options.hasLog = false
        options.settings["compactor_options.poll_interval"] = "\"20ms\""
        options.settings["compactor_options.worker.compactions_poll_interval"] = "\"20ms\""
        let store = SlateStore(try await Database.open("db", in: .local(folder.path), options), flushing: .sortedFiles)
        let admin = try Admin("db", in: .local(folder.path))
        let deleted = store.deletedBytes
        #expect(try await !store.mergeAll(admin), "there is nothing")
        try await store.write((1...10).map { Write(key: [$0], value: Bytes(repeating: $0, count: 99)) })
        try await store.flush()
        #expect(deleted.estimate == 0)
        try await store.write((1...4).map { Write(key: [$0], value: nil) })
        try await store.flush()
        #expect(deleted.estimate == 400)
        #expect(try await store.mergeAll(admin))
        try await store.write([Write(key: [5], value: nil)])
        let merge = try #require(deleted.merges.first)
        #expect(merge.fileBytes > 0)
        try await eventually("the merge to end") { try await admin.progress(of: merge.id) == .done }
        #expect(deleted.estimate == 500, "nobody has looked")
        deleted.ended(merge, isDone: true)
        #expect(deleted.estimate == 100 && deleted.merges.isEmpty)
        deleted.began(merge: "again", fileBytes: 1)
        deleted.ended(deleted.merges[0], isDone: false)
        #expect(deleted.estimate == 100, "it failed")
        // One that had less of it ends later.
        deleted.ended(merge, isDone: true)
        #expect(deleted.estimate == 100)
        try await store.close()
    }
}
