import SiloCore
import SiloTesting
import TestSupport
import Testing

@testable import SiloStore

@Suite("The files of a log", .timeLimit(.minutes(10))) struct LogWriterTests {
    @Test("what a peak needed is kept for the next, and given back half at a time while there is none")
    func spareSegments() throws {
        let folder = try TemporaryFolder()
        let disk = try FolderLogDisk("\(folder.path)/log")
        var settings = LogSettings()
        settings.segmentBytes = 4 * LogFormat.blockBytes
        let budget = LogBudget()
        let writer = LogWriter(
            disk, LogIdentity(id: 1, name: "shard"), names: [], lastNumber: 0, lastSequence: 0, settings: settings,
            account: LogAccount(budget: budget, member: budget.join {})
        )
        func files() throws -> Int { try disk.names().filter { $0.hasSuffix(".log") }.count }
        func write(_ count: Int) throws {
            for _ in 0..<count {
                let batch = Bytes(repeating: 1, count: 2 * LogFormat.blockBytes)
                var pending = LogWriter.Pending(firstSequence: writer.lastSequence + 1, batches: [batch])
                try writer.append(&pending)
            }
        }
        try writer.roll(for: 0)
        // One batch a segment.
        try write(17)
        #expect(try files() == 17)
        try writer.free(through: writer.lastSequence)
        #expect(try files() == 17, "sixteen are free")
        try write(16)
        #expect(try files() == 17, "and were used again")
        try writer.free(through: writer.lastSequence)
        for left in [9, 5, 3, 2, 2] {
            try writer.trim()
            #expect(try files() == left)
        }
        writer.close()
        disk.close()
    }
}
