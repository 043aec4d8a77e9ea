import Protobuf
import SiloAPI
import Testing

@Suite("Maps with text keys tell them apart by their bytes", .timeLimit(.minutes(10)))
struct TextMapTests {
    /// Å in the three ways that Unicode has for it, and é in two. Swift's `==` holds each group equal.
    static let names = ["\u{C5}", "A\u{30A}", "\u{212B}", "\u{E9}", "e\u{301}"]

    @Test func keepsWhatUnicodeHoldsEqual() {
        var map = TextMap<Int>()
        for (index, name) in Self.names.enumerated() { map[name] = index }
        #expect(Set(Self.names).count == 2, "or the test shows nothing")
        #expect(map.count == 5)
        for (index, name) in Self.names.enumerated() { #expect(map[name] == index) }
        map["\u{E9}"] = nil
        #expect(map["\u{E9}"] == nil && map["e\u{301}"] == 4 && map.count == 4)
    }

    @Test func equalMapsHaveEqualBytesForKeys() {
        let one: TextMap = ["\u{E9}": 1], other: TextMap = ["e\u{301}": 1]
        #expect(one != other)
        #expect(one == ["\u{E9}": 1])
        #expect(TextMap<Int>() == [:])
    }

    @Test func comesInTheOrderOfBytes() {
        let map: TextMap = ["b": 1, "\u{E9}": 2, "a": 3, "": 4, "e\u{301}": 5, "aa": 6]
        #expect(map.keys.map { Array($0.utf8) } == ["", "a", "aa", "b", "e\u{301}", "\u{E9}"].map { Array($0.utf8) })
        #expect(map.map(\.value) == [4, 3, 6, 1, 5, 2])
    }

    @Test func theLastOfEqualKeysCounts() throws {
        #expect(["a": 1, "a": 2] as TextMap == ["a": 2])
        var request = SiloV1.EnqueueRequest()
        request.metadata = ["k": "1"]
        var other = request
        other.metadata["k"] = "2"
        let merged = try SiloV1.EnqueueRequest(serializedBytes: request.serializedBytes() + other.serializedBytes())
        #expect(merged.metadata == ["k": "2"])
    }

    @Test func goesOverTheWireUnmerged() throws {
        var request = SiloV1.EnqueueRequest()
        for name in Self.names { request.metadata[name] = name + "!" }
        let bytes = request.serializedBytes()
        let again = try SiloV1.EnqueueRequest(serializedBytes: bytes)
        #expect(again.metadata.count == 5)
        for name in Self.names {
            let value = try #require(again.metadata[name])
            #expect(Array(value.utf8) == Array((name + "!").utf8))
        }
        #expect(again == request && again.serializedBytes() == bytes)
    }
}
