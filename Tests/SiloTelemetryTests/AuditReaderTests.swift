import Foundation
import TestSupport
import Testing

@testable import SiloTelemetry

@Suite(.timeLimit(.minutes(10))) struct AuditReaderTests {
    private let folder: TemporaryFolder
    private var path: String { "\(folder.path)/audit.jsonl" }
    /// 2026-11-28T12:00:00Z.
    private let noon: Int64 = 1_795_867_200_000

    init() throws { folder = try TemporaryFolder() }

    private func line(_ number: Int, _ fields: (String, String)...) -> String {
        let at = noon + Int64(number) * 1000
        let time = timespec(tv_sec: Int(at / 1000), tv_nsec: Int(at % 1000) * 1_000_000)
        return AuditLine.make([("who", "ops"), ("call", "Pause"), ("number", "\(number)"), ("outcome", "OK")] + fields, at: time)
    }

    private func write(_ numbers: some Sequence<Int>, to path: String, end: String = "\n") throws {
        try write(numbers.map { line($0) }.joined(separator: "\n") + end, to: path)
    }

    private func write(_ text: String, to path: String) throws {
        let old = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        try (old + text).write(toFile: path, atomically: false, encoding: .utf8)
    }

    /// Whoever rotated it did so that many seconds ago.
    private func age(_ path: String, seconds: Double) throws {
        let date = Date(timeIntervalSince1970: Double(noon) / 1000 - seconds)
        try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: path)
    }

    private func page(_ bytesMax: Int = 4 << 20, _ change: (inout AuditSearch) -> Void = { _ in }) throws -> AuditPage {
        var search = AuditSearch()
        change(&search)
        var finder = AuditFinder(search, bytesMax: bytesMax)
        return try finder.page(of: path)
    }

    private func numbers(_ page: AuditPage) -> [Int] { page.entries.compactMap { $0["number"].flatMap { Int($0) } } }

    /// All numbers, page by page.
    private func everything(_ bytesMax: Int = 4 << 20, _ change: (inout AuditSearch) -> Void) throws -> [Int] {
        var (found, place) = ([Int](), AuditSearch.Place?.none)
        repeat {
            let page = try page(bytesMax) { change(&$0); $0.place = place }
            found += numbers(page)
            #expect(page.next == nil || page.next != place, "it comes on")
            place = page.next
        } while place != nil
        return found
    }

    @Test func tenantsThatLookAlikeAreTwo() throws {
        let tenants = ["\u{e9}", "e\u{301}", "a,\u{301},e\u{301}"]
        try write(tenants.indices.map { line($0, ("tenant", tenants[$0])) }.joined(separator: "\n") + "\n", to: path)
        #expect(try numbers(page { $0.tenant = "\u{e9}" }) == [0])
        #expect(try Set(numbers(page { $0.tenant = "e\u{301}" })) == [1, 2])
        #expect(try numbers(page { $0.tenant = "\u{301}" }) == [2])
    }

    @Test func aLineIsReadAsItWasWritten() throws {
        let forged = "x\",\"who\":\"root\"}\n{\"log\":\"audit\"\u{1b}[31m\u{2028}é\u{10ffff}🙂\\"
        let log = try AuditLog(.file(path), logger: .silent)
        log.write([("who", forged), ("call", "Pause"), ("target", "")])
        log.close()
        let entry = try #require(try page().entries.first)
        #expect(entry.fields.map(\.name) == ["time", "who", "call", "target"])
        #expect(entry["who"] == forged && entry["target"] == "" && entry.milliseconds > 0)
    }

    @Test func whatIsNoneIsCounted() throws {
        let broken = "{\"log\":\"other\"}\nno JSON\n{\"log\":\"audit\",\"time\":\"late\"}"
        try write("\(line(0))\n\(broken)\n\(line(1))\n{\"log\":\"au", to: path)
        let found = try page()
        #expect(numbers(found) == [1, 0] && found.unreadableLines == 3 && found.next == nil)
    }

    @Test func pagesGoOnWhereTheOneBeforeEnded() throws {
        try write(0..<1000, to: path)
        #expect(try everything { $0.entriesMax = 7 } == Array((0..<1000).reversed()))
        #expect(try everything(300_000) { $0.entriesMax = 500 } == Array((0..<1000).reversed()))
    }

    @Test func aPageEndsWhenEnoughWasRead() throws {
        try write(0..<5000, to: path)
        let first = try page(64 << 10) { $0.who = "nobody" }
        #expect(first.entries.isEmpty && first.next != nil && first.reached != nil)
        #expect(try everything(64 << 10) { $0.who = "nobody" } == [])
    }

    @Test func rotatedFilesComeAfterTheNewest() throws {
        for (name, numbers, seconds) in [("", 20..<30, 0.0), (".1", 10..<20, 100), ("-20261101", 0..<10, 200)] {
            try write(numbers, to: path + name)
            try age(path + name, seconds: seconds)
        }
        try write(90..<99, to: path + ".2.gz")
        try write(90..<99, to: "\(folder.path)/other.jsonl")
        #expect(try everything { $0.entriesMax = 4 } == Array((0..<30).reversed()))
        #expect(try page().packedFiles == 1)
    }

    @Test func aRotationBetweenPagesChangesNothing() throws {
        try write(0..<10, to: path)
        let first = try page { $0.entriesMax = 5 }
        try FileManager.default.moveItem(atPath: path, toPath: path + ".1")
        try write(10..<20, to: path)
        #expect(numbers(try page { $0.place = first.next }) == [4, 3, 2, 1, 0])
        try FileManager.default.removeItem(atPath: path + ".1")
        #expect(throws: AuditFinder.Gone.self) { try page { $0.place = first.next } }
    }

    @Test func aFileThatWasCutSaysSo() throws {
        try write(0..<10, to: path)
        let first = try page { $0.entriesMax = 2 }
        try "".write(toFile: path, atomically: false, encoding: .utf8)
        #expect(throws: AuditFinder.Gone.self) { try page { $0.place = first.next } }
    }

    @Test func fieldsAndTimesChoose() throws {
        let lines = [
            line(0, ("tenant", "acme")), line(1, ("tenant", "acme,beta")), line(2, ("tenant", "acme2")),
            line(3).replacingOccurrences(of: "\"OK\"", with: "\"NOT_FOUND\""),
            line(4).replacingOccurrences(of: "Pause", with: "ListAuditEntries"),
        ]
        try write(lines.joined(separator: "\n") + "\n", to: path)
        #expect(numbers(try page { $0.tenant = "acme" }) == [1, 0])
        #expect(numbers(try page { $0.tenant = "beta" }) == [1])
        #expect(numbers(try page { $0.isFailed = true }) == [3])
        #expect(numbers(try page { $0.outcome = "NOT_FOUND" }) == [3])
        #expect(numbers(try page { $0.leavingOut = ["ListAuditEntries"] }) == [3, 2, 1, 0])
        #expect(numbers(try page { $0.call = "ListAuditEntries" }) == [4])
        let (from, before) = (noon + 1000, noon + 3000)
        #expect(numbers(try page { ($0.from, $0.before) = (from, before) }) == [2, 1])
    }

    @Test func aTimeInALongLogIsFoundWithoutReadingAllOfIt() throws {
        try write(0..<20_000, to: path)
        let before = noon + 100 * 1000
        let found = try page(256 << 10) { ($0.before, $0.entriesMax) = (before, 3) }
        #expect(numbers(found) == [99, 98, 97])
        let from = noon + 19_990 * 1000
        #expect(numbers(try page { ($0.from, $0.entriesMax) = (from, 500) }) == Array((19_990..<20_000).reversed()))
    }

    @Test func whereThereIsNoFileNothingIsFound() throws {
        let found = try page()
        #expect(found.entries.isEmpty && found.next == nil && found.reached == nil)
    }

    @Test func cursorsOfStrangersAreRefused() {
        for text in ["", "1", "1.", ".1", "1.2.3", "x.1", "1.-1", "1.99999999999999999999999999"] {
            #expect(AuditSearch.Place(text) == nil, "\(text)")
        }
        #expect(AuditSearch.Place("ff.10") == AuditSearch.Place(file: 255, offset: 16))
    }
}
