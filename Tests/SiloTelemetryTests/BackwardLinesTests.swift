import Testing

@testable import SiloTelemetry

@Suite(.timeLimit(.minutes(10))) struct BackwardLinesTests {
    private typealias Step = BackwardLines.Step

    private static func reader(_ text: String, from place: Int? = nil, block: Int, longest: Int = 64) -> BackwardLines {
        let bytes = Array(text.utf8)
        return BackwardLines(from: place ?? bytes.count, blockBytes: block, lineBytesMax: longest) { offset, count in
            Array(bytes[min(offset, bytes.count)..<min(offset + count, bytes.count)])
        }
    }

    private static func all(_ lines: BackwardLines, budget: Int = .max) throws -> [Step] {
        var (lines, budget, steps) = (lines, budget, [Step]())
        while true {
            let step = try lines.next(&budget)
            steps.append(step)
            if step == .begin || step == .spent { return steps }
        }
    }

    private static func lines(_ texts: String...) -> [Step] { texts.map { .line(Array($0.utf8)) } }

    @Test(arguments: [1, 2, 3, 7, 64]) func linesComeLastFirst(block: Int) throws {
        let steps = try Self.all(Self.reader("one\ntwo\n\nthree\n", block: block))
        #expect(steps == Self.lines("three", "", "two", "one") + [.begin])
        #expect(try Self.all(Self.reader("", block: block)) == [.begin])
    }

    @Test(arguments: [1, 2, 5, 64]) func aLineThatIsBeingWrittenIsLeftOut(block: Int) throws {
        #expect(try Self.all(Self.reader("one\ntwo\nthr", block: block)) == Self.lines("two", "one") + [.begin])
        #expect(try Self.all(Self.reader("on", block: block)) == [.begin])
    }

    @Test(arguments: [1, 3, 8, 64]) func aLineOverTheBoundIsPassedOverOnce(block: Int) throws {
        let long = String(repeating: "x", count: 200)
        let steps = try Self.all(Self.reader("one\n\(long)\ntwo\n", block: block, longest: 20))
        #expect(steps == Self.lines("two") + [.tooLong] + Self.lines("one") + [.begin])
    }

    @Test(arguments: [1, 3, 8, 64]) func everyPlaceIsOneToGoOnAt(block: Int) throws {
        let long = String(repeating: "x", count: 100)
        let text = "one\n\(long)\ntwo\nthree\n"
        let whole = try Self.all(Self.reader(text, block: block, longest: 20))
        var (found, place) = ([Step](), text.utf8.count)
        while true {
            var lines = Self.reader(text, from: place, block: block, longest: 20)
            // Little more than a line: a page that ends in the middle of a long one goes on there.
            var budget = 30
            var step = try lines.next(&budget)
            while step != .spent, step != .begin {
                found.append(step)
                step = try lines.next(&budget)
            }
            #expect(step == .begin || lines.place < place, "it comes on")
            guard step == .spent, lines.place < place else { break }
            place = lines.place
        }
        #expect(found.filter { $0 != .tooLong } + [.begin] == whole.filter { $0 != .tooLong })
    }

    @Test func aFileThatWasCutIsNoticed() {
        #expect(throws: BackwardLines.Vanished.self) {
            try Self.all(Self.reader("one\n", from: 100, block: 8))
        }
    }
}
