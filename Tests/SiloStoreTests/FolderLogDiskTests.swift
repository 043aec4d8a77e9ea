import Foundation
import Glibc
import SiloCore
import SiloStore
import TestSupport
import Testing

@Suite("A log's folder on a real disk", .timeLimit(.minutes(10))) struct FolderLogDiskTests {
    private let folder: TemporaryFolder
    private var path: String { "\(folder.path)/log" }

    init() throws { folder = try TemporaryFolder() }

    /// With what error `body` fails; nil when it does not.
    private func failure(_ body: () throws(LogDiskError) -> Void) -> LogDiskError? {
        do throws(LogDiskError) {
            try body()
            return nil
        } catch {
            return error
        }
    }

    private func isFailed(_ error: LogDiskError?, _ text: String) -> Bool {
        if case .failed(let found) = error { found.hasPrefix(text) } else { false }
    }

    // MARK: The folder

    @Test("the folder is made where there is none, and taken as it is where there is one")
    func made() throws {
        let disk = try FolderLogDisk(path)
        #expect(try disk.names() == [])
        _ = try disk.open("b", creating: true)
        _ = try disk.open("a", creating: true)
        #expect(FileManager.default.createFile(atPath: "\(path)/.hidden", contents: nil))
        try disk.sync()
        disk.close()
        #expect(try FolderLogDisk(path).names() == ["a", "b"], "in order, without what is hidden")
    }

    @Test("a folder that cannot be made or opened is told with its path and the reason")
    func cannotBeMade() {
        let file = "\(folder.path)/file"
        #expect(FileManager.default.createFile(atPath: file, contents: nil))
        #expect(
            failure { () throws(LogDiskError) in _ = try FolderLogDisk("\(file)/log") }
                == .failed("cannot make the folder \(file)/log: Not a directory"))
        #expect(
            failure { () throws(LogDiskError) in _ = try FolderLogDisk(file) }
                == .failed("cannot open the folder \(file): Not a directory"))
    }

    @Test("a folder that was let go is free, though a process that is being started has a copy of its handle")
    func copied() throws {
        let disk = try FolderLogDisk(path)
        let found = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").compactMap { Int32($0) }
            .first { (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\($0)")) == path }
        let copy = dup(try #require(found))
        defer { Glibc.close(copy) }
        disk.close()
        #expect(try FolderLogDisk(path).names() == [])
    }

    @Test("two stores do not have one folder; the next has it when the first let go, or is gone")
    func locked() throws {
        let first = try FolderLogDisk(path)
        let locked = LogDiskError.locked("another store has the log in \(path)")
        #expect(failure { () throws(LogDiskError) in _ = try FolderLogDisk(path) } == locked)
        first.close()
        first.close()
        // Gone at the end of its line.
        _ = try FolderLogDisk(path)
        let third = try FolderLogDisk(path)
        #expect(failure { () throws(LogDiskError) in _ = try FolderLogDisk(path) } == locked)
        third.close()
    }

    @Test("whoever has closed a folder does nothing in it any more: it may be another's")
    func closed() throws {
        let disk = try FolderLogDisk(path)
        _ = try disk.open("a", creating: true)
        disk.close()
        let next = try FolderLogDisk(path)
        let closed = LogDiskError.failed("the folder \(path) is closed")
        #expect(failure { () throws(LogDiskError) in try disk.sync() } == closed)
        #expect(failure { () throws(LogDiskError) in try disk.remove("a") } == closed)
        #expect(failure { () throws(LogDiskError) in _ = try disk.open("b", creating: true) } == closed)
        #expect(try next.names() == ["a"])
    }

    // MARK: Files

    @Test("a file is made once, found only when it is there, and removed as often as one likes")
    func names() throws {
        let disk = try FolderLogDisk(path)
        let missing = failure { () throws(LogDiskError) in _ = try disk.open("a", creating: false) }
        #expect(missing == .failed("cannot open \(path)/a: No such file or directory"))
        _ = try disk.open("a", creating: true)
        let made = failure { () throws(LogDiskError) in _ = try disk.open("a", creating: true) }
        #expect(made == .failed("cannot open \(path)/a: File exists"))
        try disk.remove("a")
        try disk.remove("a")
        #expect(try disk.names() == [])
        try FileManager.default.createDirectory(atPath: "\(path)/folder", withIntermediateDirectories: false)
        #expect(isFailed(failure { () throws(LogDiskError) in try disk.remove("folder") }, "cannot remove \(path)/folder: "))
    }

    @Test("bytes are read as they were written, wherever; past the end there are fewer, and none")
    func content() throws {
        let disk = try FolderLogDisk(path)
        let file = try disk.open("a", creating: true)
        #expect(try file.size() == 0)
        #expect(try file.read(at: 0, 10) == [])
        try file.write([1, 2, 3], at: 5)
        #expect(try file.size() == 8)
        #expect(try file.read(at: 0, 8) == [0, 0, 0, 0, 0, 1, 2, 3])
        try file.write([9], at: 6)
        #expect(try file.read(at: 5, 100) == [1, 9, 3])
        #expect(try file.read(at: 8, 1) == [])
        #expect(try file.read(at: 5, 0) == [])
        try file.write([], at: 100)
        #expect(try file.size() == 8)
        try file.sync()
        file.close()
        #expect(try disk.open("a", creating: false).read(at: 0, 8) == [0, 0, 0, 0, 0, 1, 9, 3])
    }

    @Test("a large piece is written and read whole")
    func large() throws {
        let file = try FolderLogDisk(path).open("a", creating: true)
        let bytes = Bytes((0..<(5 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) })
        try file.write(bytes, at: 3)
        #expect(try file.read(at: 3, bytes.count) == bytes)
    }

    @Test("a full disk is told apart from a broken one; a sync that fails is never called a full disk")
    func full() throws {
        let disk = try FolderLogDisk(path)
        try FileManager.default.createSymbolicLink(atPath: "\(path)/full", withDestinationPath: "/dev/full")
        let file = try disk.open("full", creating: false)
        let full = failure { () throws(LogDiskError) in try file.write([1], at: 0) }
        #expect(full == .noSpace("cannot write to \(path)/full: No space left on device"))
        #expect(isFailed(failure { () throws(LogDiskError) in try file.sync() }, "cannot sync \(path)/full: "))
    }

    // MARK: Closing

    @Test("a closed file refuses every call, though another has its number since")
    func closedFile() throws {
        let disk = try FolderLogDisk(path)
        let first = try disk.open("a", creating: true)
        first.close()
        first.close()
        let second = try disk.open("b", creating: true)
        #expect(isFailed(failure { () throws(LogDiskError) in try first.write([1], at: 0) }, "cannot write to \(path)/a: "))
        #expect(isFailed(failure { () throws(LogDiskError) in _ = try first.read(at: 0, 1) }, "cannot read \(path)/a: "))
        #expect(isFailed(failure { () throws(LogDiskError) in _ = try first.size() }, "cannot look at \(path)/a: "))
        #expect(isFailed(failure { () throws(LogDiskError) in try first.sync() }, "cannot sync \(path)/a: "))
        first.close()
        try second.write([2], at: 0)
        #expect(try second.read(at: 0, 10) == [2])
    }

    @Test("a file that is closed while somebody writes to it refuses the rest, and no other file takes any of it")
    func closedWhileBusy() async throws {
        let disk = try FolderLogDisk(path)
        let file = try disk.open("a", creating: true)
        let piece = Bytes(repeating: 1, count: 4096)
        let written = Tally()
        async let ended: LogDiskError? = onThread {
            do throws(LogDiskError) {
                // Far more than it comes to.
                for _ in 0..<10_000_000 {
                    try file.write(piece, at: 0)
                    written.add()
                }
                return nil
            } catch {
                return error
            }
        }
        try await written.until(10)
        file.close()
        let next = try disk.open("b", creating: true)
        #expect(isFailed(await ended, "cannot write to \(path)/a: "))
        #expect(try next.size() == 0)
        #expect(try disk.open("a", creating: false).size() == piece.count)
    }
}
