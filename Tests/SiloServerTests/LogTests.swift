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
        let writer = LogWriter(descriptor, bytesMax: 100_000) { "dropped \($0)" }
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

    @Test func everythingIsWrittenInOrderBeforeTheEnd() async throws {
        let pipe = Pipe()
        let writer = LogWriter(pipe.fileHandleForWriting.fileDescriptor) { "dropped \($0)" }
        let source = pipe.fileHandleForReading
        async let read = onThread { try source.readToEnd() ?? Data() }
        try await onThread {
            for number in 0..<5000 { writer.write("line \(number)") }
            writer.flush()
            try pipe.fileHandleForWriting.close()
        }
        let text = String(decoding: try await read, as: UTF8.self)
        #expect(text == (0..<5000).map { "line \($0)\n" }.joined())
    }
}
