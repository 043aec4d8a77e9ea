import Foundation
@testable import SiloClient
import Testing

/// What other languages' libraries write, and what JSON cannot say.
@Suite(.timeLimit(.minutes(10))) struct MessagePackTests {
    @Test(
        arguments: [
            ([0xd6, 0xff, 0, 0, 0, 1], 1, 0, "1970-01-01T00:00:01Z"),
            ([0xd7, 0xff, 0, 0, 0, 0x04, 0, 0, 0, 2], 2, 1, "1970-01-01T00:00:02.000000001Z"),
            (
                [0xc7, 12, 0xff, 0x1d, 0xcd, 0x65, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -1, 500_000_000,
                "1969-12-31T23:59:59.5Z"
            ),
        ] as [([UInt8], Int64, UInt32, String)])
    func aTimestampIsRead(_ bytes: [UInt8], _ seconds: Int64, _ nanoseconds: UInt32, _ text: String) throws {
        let date = try #require(MessagePack(bytes)?.date)
        #expect(date == MessagePackDate(seconds: seconds, nanoseconds: nanoseconds))
        #expect(date.text == text)
        #expect(try Payload(bytes: bytes).decode(as: String.self) == text)
        let decoded = try Payload(bytes: bytes).decode(as: Date.self).timeIntervalSince1970
        #expect(abs(decoded - (Double(seconds) + Double(nanoseconds) / 1e9)) < 0.001)
    }

    @Test func ourOwnDatesGoRound() throws {
        let date = Date(timeIntervalSince1970: 1_772_366_400.25)
        #expect(try Payload(["at": date]).decode(as: [String: Date].self) == ["at": date])
    }

    @Test func everyYearHasItsText() {
        for (seconds, text) in [
            (951_782_400, "2000-02-29T00:00:00Z"), (951_868_800, "2000-03-01T00:00:00Z"), (4_107_542_400, "2100-03-01T00:00:00Z"),
            (-62_167_219_200, "0000-01-01T00:00:00Z"), (-62_167_219_201, "-000001-12-31T23:59:59Z"),
            (Int64.max, "+292277026596-12-04T15:30:07Z"), (Int64.min, "-292277022657-01-27T08:29:52Z"),
        ] as [(Int64, String)] {
            #expect(MessagePackDate(seconds: seconds, nanoseconds: 0).text == text)
        }
    }

    @Test func undefinedIsNullInJSON() throws {
        #expect(MessagePack([0xd4, 0, 0])?.isUndefined == true)
        #expect(MessagePack([0xd4, 0, 1])?.isUndefined == false)
        #expect(try Payload(bytes: [0xd4, 0, 0]).decode(as: Int?.self) == nil)
    }

    @Test(arguments: ["18446744073709551616", "-9223372036854775809", "[1,{\"a\":100000000000000000000000}]", "1e400", "-1E999"])
    func aNumberIsNeverStoredAsAnother(_ json: String) {
        #expect(throws: ClientError.self) { try MessagePack(json: Data(json.utf8)) }
    }

    @Test func numbersAtTheBordersAreExact() throws {
        for (json, value) in [
            ("18446744073709551615", .unsigned(.max)), ("9223372036854775808", .unsigned(1 << 63)),
            ("9223372036854775807", .integer(.max)), ("-9223372036854775808", .integer(.min)), ("-0", .integer(0)),
            ("1.0", .float(1)), ("1e2", .float(100)), ("5e-324", .float(.leastNonzeroMagnitude)),
            ("1.7976931348623157e308", .float(.greatestFiniteMagnitude)),
        ] as [(String, MessagePack)] {
            #expect(try MessagePack(json: Data(json.utf8)) == value)
        }
    }

    @Test func namesThatUnicodeHoldsEqualAreTwo() throws {
        let json = Data("{\"\u{e9}\":1,\"e\u{301}\":2,\"a\":3,\"a\":4}".utf8)
        #expect(try MessagePack(json: json).bytes == [0x83, 0xa1, 0x61, 4, 0xa3, 0x65, 0xcc, 0x81, 2, 0xa2, 0xc3, 0xa9, 1])
    }

    @Test(arguments: [
        "", " ", "{", "[1", "[1,]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "01", "-", "1.", ".5", "1e", "+1",
        "tru", "nul", "NaN", "1 2",
        "\"", "\"\\", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"",
        "\"\\ud800\\u0041\"", "\"a\nb\"", "'a'", "\u{0}", "1\u{0}",
    ])
    func whatIsNoJSONIsRefused(_ json: String) {
        #expect(throws: ClientError.self) { try MessagePack(json: Data(json.utf8)) }
    }

    @Test func otherEncodingsAreRefused() {
        #expect(throws: ClientError.self) { try MessagePack(json: Data([0x22, 0xff, 0x22])) }
        #expect(throws: ClientError.self) { try MessagePack(json: Data([0x22, 0xed, 0xa0, 0x80, 0x22])) }
        #expect(throws: ClientError.self) { try MessagePack(json: Data([0xff, 0xfe, 0x31, 0])) }
    }

    @Test func aMistakeNamesItsPlace() {
        #expect(throws: ClientError.undecodable("not a JSON document that can be stored: } is not expected, at byte 8")) {
            try MessagePack(json: Data("{\"a\":1}}".utf8))
        }
    }

    @Test func nestingIsBounded() throws {
        func nested(_ levels: Int) -> Data {
            Data((String(repeating: "[", count: levels) + String(repeating: "]", count: levels)).utf8)
        }
        // What is written can be read.
        let readable = try MessagePack(json: nested(32))
        #expect(MessagePack(readable.bytes) == readable)
        #expect(throws: ClientError.self) { try MessagePack(json: nested(33)) }
        #expect(MessagePack([UInt8](repeating: 0x91, count: 33) + [0xc0]) == nil)
        #expect(throws: ClientError.self) { try MessagePack(json: nested(1_000_000)) }
    }
}
