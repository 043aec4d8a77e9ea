import Foundation
import TestSupport
import Testing

@testable import SlateDB

/// Which log files are torn is judged by their last bytes, whose meaning belongs to one release of SlateDB.
@Suite(.timeLimit(.minutes(10))) struct TornLogTests {
    /// A log file that SlateDB 0.17.0 wrote: one row, `a` = `1`.
    private static let written = """
        AAEBYTEAAAAAAAAAAQQAAAGiIeYypQAAAAGKpjWiDAAAAAAABgAIAAQABgAAAAQAAAABAAAADAAAAAgACAAAAAQACAAAAAQAAAAIAAAAAAAAAA
        AAAAHigIbUJAAAAAAAAAAAABoAKAAIAAwAFAAcAAAAAAAGAAAAAAAAAAcAGgAAAAAAAQEgAAAAHgAAAAAAAAA8AAAAAAAAAB4AAAAAAAAAAAAA
        AAgAAAAAAAAAAAAAAe4/qmsAAAAAAAAAWgAC
        """

    @Test("the judgement was tried on the release that is installed")
    func theReleaseIsTheOneThatWasTried() throws {
        let versions = try String(contentsOfFile: "scripts/versions.sh", encoding: .utf8)
        #expect(versions.contains("SLATEDB_VERSION=\(TornLog.triedRelease)\n"))
    }

    @Test("no file that this release writes is taken for torn, whatever it holds")
    func filesOfThisReleaseAreWhole() async throws {
        let folder = try TemporaryFolder()
        let db = try await Database.open("db", in: folder.store())
        for size in [0, 1, 100, 5000, 300_000] {
            try await db.put([(key(size), [UInt8](repeating: UInt8(size % 251), count: size))])
            try await db.flush(.log)
        }
        try await db.put((0..<3000).map { (key($0), [UInt8($0 % 256)]) })
        try await db.flush(.log)
        try await db.close()
        // Every opening leaves a file of no bytes.
        try await Database.open("db", in: folder.store()).close()
        let files = folder.files("db/wal").filter { $0.hasSuffix(".sst") }
        #expect(files.count >= 8)
        let conditions = files.map { TornLog.condition(of: "\(folder.path)/db/wal/\($0)") }
        #expect(conditions.count { $0 == .empty } == 2 && !conditions.contains(.torn), "\(conditions)")
        for name in folder.files("db/compacted") {
            #expect(TornLog.condition(of: "\(folder.path)/db/compacted/\(name)") == .whole)
        }
        #expect(try setAside(folder) == [])
    }

    /// One in a hundred cuts leaves an end that could be one. Then SlateDB refuses to open, which is loud; to judge more strictly
    /// would set acknowledged files aside when a byte of their end went bad.
    @Test("a file of release 0.17.0 is torn at nearly every byte that it is cut at, and whenever its end is not written")
    func cutsAreSeen() throws {
        let folder = try TemporaryFolder()
        let whole = try #require(Data(base64Encoded: Self.written, options: .ignoreUnknownCharacters))
        let path = "\(folder.path)/file.sst"
        try whole.write(to: URL(fileURLWithPath: path))
        #expect(TornLog.condition(of: path) == .whole)
        var unseen: [Int] = []
        for length in 1..<whole.count {
            try whole.prefix(length).write(to: URL(fileURLWithPath: path))
            if TornLog.condition(of: path) != .torn { unseen.append(length) }
            // The length was on the disk, and the content was not.
            try (whole.prefix(length) + Data(count: whole.count - length)).write(to: URL(fileURLWithPath: path))
            #expect(TornLog.condition(of: path) == .torn, "zeros from \(length) of \(whole.count)")
        }
        #expect(unseen == [103, 127])
    }

    @Test("what was set aside is told, with where it is now")
    func whatWasSetAsideIsTold() throws {
        let folder = try TemporaryFolder()
        let log = "\(folder.path)/db/wal"
        try FileManager.default.createDirectory(atPath: log, withIntermediateDirectories: true)
        let whole = try #require(Data(base64Encoded: Self.written, options: .ignoreUnknownCharacters))
        for (name, content) in [("1.sst", whole), ("2.sst", whole.prefix(30)), ("3.sst", Data()), ("4.sst", whole.prefix(5))] {
            try content.write(to: URL(fileURLWithPath: "\(log)/\(name)"))
        }
        let torn = try setAside(folder)
        #expect(torn == [TornLog(files: ["4.sst", "2.sst"], folder: "\(folder.path)/db/torn")])
        #expect(folder.files("db/torn") == ["2.sst", "4.sst"])
        #expect(folder.files("db/wal") == ["1.sst", "3.sst"])
        #expect(try setAside(folder) == [])
    }

    @Test("what was set aside is told also when the next file cannot be")
    func whatWasSetAsideIsToldAlthoughTheNextCannotBe() throws {
        let folder = try TemporaryFolder()
        for name in ["wal", "torn/1.sst"] {
            try FileManager.default.createDirectory(atPath: "\(folder.path)/db/\(name)", withIntermediateDirectories: true)
        }
        for name in ["1.sst", "2.sst"] { try Data([1]).write(to: URL(fileURLWithPath: "\(folder.path)/db/wal/\(name)")) }
        var told: [TornLog] = []
        // A folder of that name stands where the second file would go.
        #expect(throws: StorageError.self) { try TornLog.setAside(in: "\(folder.path)/db") { told.append($0) } }
        #expect(told == [TornLog(files: ["2.sst"], folder: "\(folder.path)/db/torn")])
    }

    private func setAside(_ folder: TemporaryFolder) throws -> [TornLog] {
        var told: [TornLog] = []
        try TornLog.setAside(in: "\(folder.path)/db") { told.append($0) }
        return told
    }
}
