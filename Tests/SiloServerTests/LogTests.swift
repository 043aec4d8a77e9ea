import Foundation
import SiloCore
import TestSupport
import Testing

@testable import SiloTelemetry

/// What peers make a server say stays inside its line; who logs never waits for who reads.
@Suite(.timeLimit(.minutes(10))) struct LogTests {
    private static let forged = "x\n2026-01-01T00:00:00.000000Z ERROR silo: forged\r"
        + "\u{1b}[31m\u{7f}\u{85}\u{9b}2J\u{2028}\u{202e}end"

    @Test(arguments: [Logger.Format.text, .json])
    func foreignTextStaysInItsPlace(_ format: Logger.Format) throws {
        let lines = Box<String>()
        let logger = Logger(Self.forged, format: format, write: { lines.add($0) })
        logger.warn(Self.forged, ["text": .text(Self.forged), "é": "größe🙂"])
        let line = try #require(lines.all.first)
        #expect(lines.all.count == 1)
        #expect(!line.unicodeScalars.contains { $0.isEscapedInLog })
        #expect(line.contains("größe🙂"), "what is harmless is left alone")
        for escaped in ["\\u001b[31m", "\\u007f", "\\u0085", "\\u009b2J", "\\u2028", "\\u202e"] {
            #expect(line.contains(escaped))
        }
        guard format == .json else { return }
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        let fields = try #require(object["fields"] as? [String: String])
        #expect(fields["text"] == Self.forged && fields["message"] == Self.forged && object["target"] as? String == Self.forged)
    }

    @Test func aFieldCannotPassForAnother() {
        let lines = Box<String>()
        Logger("a", write: { lines.add($0) }).info("said", ["text": "a b=c", "empty": "", "plain": "x"])
        #expect(lines.all.first?.hasSuffix(#" INFO a: said text="a b=c" empty="" plain=x"#) == true)
    }

    @Test func linesOfOneKindAreFewAndTheRestIsCounted() async throws {
        let lines = Box<String>()
        let throttle = LogThrottle(Logger("grpc", write: { lines.add($0) }), linesMax: 3, seconds: 1)
        for _ in 0..<100 { throttle.log(.warn, kind: "a", "peers say", ["text": "a"]) }
        throttle.log(.warn, kind: "b", "peers say", ["text": "b"])
        #expect(lines.all.count == 4)
        try await lines.until(5)
        #expect(lines.all.last?.contains("lines left out like=\"peers say\" kind=a count=97") == true)
        throttle.log(.warn, kind: "a", "peers say", ["text": "again"])
        #expect(lines.all.last?.hasSuffix("text=again") == true)
    }

    @Test func manyKindsTakeNoMoreThanTheirPlace() {
        let lines = Box<String>()
        let throttle = LogThrottle(Logger("grpc", write: { lines.add($0) }), linesMax: 1, seconds: 1000)
        for number in 0..<10_000 { throttle.log(.warn, kind: "\(number)", "peers say") }
        #expect(lines.all.count == 257)
    }

    @Test func aReaderThatStandsStillStopsNobodyAndHearsWhatWasDropped() async throws {
        try await onThread { try Self.fillAPipe() }
    }

    private static func fillAPipe() throws {
        let pipe = Pipe()
        let descriptor = pipe.fileHandleForWriting.fileDescriptor
        let writer = LogWriter(descriptor, bytesMax: 100_000) { count, _ in "dropped \(count)" }
        let line = String(repeating: "x", count: 999)
        let begun = ContinuousClock.now
        // A pipe takes 64 KiB; what is being written and what waits is bounded.
        for _ in 0..<10_000 { writer.write(line) }
        #expect(.now - begun < .seconds(10))
        writer.flush()
        #expect(.now - begun < .seconds(20), "the end of the process does not wait for ever either")

        // Every line came or was counted. What waits besides the dropped ones may come after the line that tells of them.
        var text: [UInt8] = []
        var (kept, dropped) = (0, 0)
        while kept + dropped < 10_000 {
            let part = pipe.fileHandleForReading.availableData
            try #require(!part.isEmpty)
            text += part
            let lines = text.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
            kept = lines.filter { $0 == line }.count
            let counts = text.last == UInt8(ascii: "\n") ? lines.compactMap { $0.wholeMatch(of: /dropped (\d+)/)?.1 } : []
            dropped = counts.compactMap { Int($0) }.reduce(0, +)
        }
        #expect(kept + dropped == 10_000 && kept < 400)
    }

    @Test func whatAFullDiskDoesNotTakeIsCountedAndToldOnTheNextFile() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("log").path
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: "/dev/full")
        let writer = try LogWriter(file: path) { count, reason in "dropped \(count): \(reason ?? "")" }
        for number in 0..<10 { writer.write("line \(number)") }
        try await onThread {
            writer.flush(seconds: 300)
            #expect(writer.counts == (0, 10))
            try FileManager.default.removeItem(atPath: path)
            try writer.reopen()
            writer.write("a line")
            writer.flush(seconds: 300)
        }
        // The line that tells may come before or after it.
        try await eventually("the dropped lines are told") {
            (try? String(contentsOfFile: path, encoding: .utf8))?.contains("dropped") == true
        }
        let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").sorted()
        #expect(lines == ["a line", "dropped 10: No space left on device"])
        #expect(writer.counts == (1, 10))
    }

    @Test func aFileThatCannotBeOpenedAnewLeavesTheOldOneInForce() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (path, old) = (folder.appendingPathComponent("log").path, folder.appendingPathComponent("old").path)
        let writer = try LogWriter(file: path) { count, _ in "dropped \(count)" }
        try FileManager.default.moveItem(atPath: path, toPath: old)
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        #expect(throws: LogFileError.self) { try writer.reopen() }
        await onThread {
            writer.write("a line")
            writer.flush(seconds: 300)
        }
        #expect(try String(contentsOfFile: old, encoding: .utf8) == "a line\n")
    }

    @Test func levelsChangeForAllLoggersOfAProcess() throws {
        let lines = Box<String>()
        let logger = Logger("silo", filter: try LogFilter("warn"), write: { lines.add($0) })
        let shard = logger.part(.shard)
        shard.info("1")
        #expect(logger.control.set(try LogFilter("error,shard=debug")).description == "warn")
        shard.debug("2")
        logger.warn("3")
        #expect(logger.control.filter.description == "error,shard=debug" && !logger.allows(.warn) && shard.allows(.debug))
        logger.control.set(nil)
        shard.info("4")
        logger.warn("5")
        logger.control.configure(try LogFilter("trace"))
        logger.control.set(nil)
        shard.log(.trace, "6")
        #expect(lines.all.compactMap(\.last) == ["2", "5", "6"])
    }

    @Test(arguments: [Logger.Format.text, .json])
    func aLineOfACallSaysWhichAndForWhom(_ format: Logger.Format) throws {
        let lines = Box<String>()
        let context = try #require(TraceContext("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
        let logger = Logger("calls", format: format, write: { lines.add($0) })
        logger.of("grpc_request", ["rpc.method": "GetJob"], context).info("said")
        let line = try #require(lines.all.first)
        guard format == .json else {
            let end = "trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331"
            return #expect(line.hasSuffix(" INFO grpc_request: calls: said rpc.method=GetJob \(end)"))
        }
        let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        #expect(object["trace_id"] as? String == "\(context.trace)" && object["span_id"] as? String == "\(context.span)")
        #expect(object["span"] as? [String: String] == ["name": "grpc_request", "rpc.method": "GetJob"])
        #expect((object["spans"] as? [[String: String]])?.count == 1)
    }

    @Test func everythingIsWrittenInOrderBeforeTheEnd() async throws {
        let pipe = Pipe()
        let writer = LogWriter(pipe.fileHandleForWriting.fileDescriptor) { count, _ in "dropped \(count)" }
        let source = pipe.fileHandleForReading
        async let read = onThread { try source.readToEnd() ?? Data() }
        try await onThread {
            for number in 0..<5000 { writer.write("line \(number)") }
            writer.flush(seconds: 300)
            try pipe.fileHandleForWriting.close()
        }
        let text = String(decoding: try await read, as: UTF8.self)
        #expect(text == (0..<5000).map { "line \($0)\n" }.joined())
    }
}
