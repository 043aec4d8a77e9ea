import Foundation
import TestSupport
import Testing

@testable import SiloTelemetry

@Suite(.timeLimit(.minutes(10))) struct AuditLogTests {
    private let folder: TemporaryFolder
    private var path: String { "\(folder.path)/audit.jsonl" }

    init() throws { folder = try TemporaryFolder() }

    private func lines(_ path: String) throws -> [[String: String]] {
        try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        }
    }

    @Test func whatOthersWriteStaysInItsPlace() throws {
        let forged = "x\",\"who\":\"root\"}\n{\"who\":\"root\u{1b}[31m\u{2028}é"
        let log = try AuditLog(.file(path), logger: .silent)
        log.write([("who", forged), ("call", "Pause")])
        log.close()
        let found = try lines(path)
        #expect(found.count == 1 && found[0]["who"] == forged && found[0]["call"] == "Pause")
        #expect(found[0]["time"]?.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
    }

    @Test func whatIsInTheFileStays() throws {
        for number in 0..<3 {
            let log = try AuditLog(.file(path), logger: .silent)
            log.write([("number", "\(number)")])
            log.close()
        }
        #expect(try lines(path).map { $0["number"] } == ["0", "1", "2"])
        var status = stat()
        #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    /// Of the last line of before a crash the file has a part.
    @Test(arguments: [#"{"log":"audit","time":"2026-11"#, #"{"log":"audit","number":"1"}"#, "x\n"])
    func aLineThatACrashCutOffSpoilsNoOther(end: String) throws {
        let first = #"{"log":"audit","number":"0"}"#
        try "\(first)\n\(end)".write(toFile: path, atomically: false, encoding: .utf8)
        for number in 2..<4 {
            let log = try AuditLog(.file(path), logger: .silent)
            log.write([("number", "\(number)")])
            log.close()
            #expect(log.counts.written == 1)
        }
        let found = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: false)
        #expect(found.count == 5 && found.last == "", "\(found)")
        #expect(found.prefix(2) == [first[...], end.split(separator: "\n")[0]], "what is there stays")
        #expect(found[2].hasSuffix(#""number":"2"}"#) && found[2].hasPrefix(#"{"log":"audit""#))
        #expect(found[3].hasSuffix(#""number":"3"}"#) && found[3].hasPrefix(#"{"log":"audit""#))
    }

    @Test func itGoesOnInTheFileThatHasTheName() async throws {
        let log = try AuditLog(.file(path), logger: .silent)
        log.write([("number", "0")])
        try await eventually("the line") { try lines(path).count == 1 }
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        try log.reopen()
        log.write([("number", "1")])
        try log.reopen(as: .file(path + ".2"))
        #expect(throws: AuditLog.Failure.self) { try log.reopen(as: .file("\(folder.path)/no/audit")) }
        log.write([("number", "2")])
        log.close()
        #expect(try lines(path + ".1").map { $0["number"] } == ["0"])
        #expect(try lines(path).count + lines(path + ".2").count == 2)
        #expect(try lines(path + ".2").last?["number"] == "2")
    }

    @Test func aFullDiskIsToldOnceAndWhatWasLostIsCounted() async throws {
        let told = Box<String>()
        let log = try AuditLog(.file("/dev/full"), bytesMax: 4096, logger: Logger("admin", write: { told.add($0) }))
        for number in 0..<1000 { log.write([("number", "\(number)")]) }
        try await told.until(1)
        #expect(told.all[0].contains("the audit log cannot be written; its lines wait") && told.all[0].contains("No space left"))
        let lost = Int(log.counts.dropped)
        #expect(lost > 0)
        try log.reopen(as: .file(path))
        try await told.until(2)
        #expect(told.all[1].contains("the audit log is written again"))
        log.close()
        let found = try lines(path)
        // The count goes in with the batch that there was room for, perhaps while lines were still coming.
        let counts = found.filter { $0["call"] == "lines lost" }.compactMap { $0["count"].flatMap { Int($0) } }
        #expect(counts.reduce(0, +) == lost)
        #expect(found.count - counts.count + lost == 1000)
        #expect(found.first?["number"] == "0", "the oldest stay")
    }
}
