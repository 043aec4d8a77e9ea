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

    @Test(arguments: [
        "18446744073709551616", "-9223372036854775809", "[1,{\"a\":100000000000000000000000}]", "\"x\", -99999999999999999999",
    ])
    func aWholeNumberThatDoesNotFitIsFound(_ json: String) {
        #expect(JSONIntegers.unfit(in: Data(json.utf8)) != nil)
    }

    @Test(arguments: [
        "18446744073709551615", "-9223372036854775808", "1e400", "100000000000000000000.0", "1E99999999999999999999",
        "\"99999999999999999999999\"", "{\"\\\"99999999999999999999999\":\"\\\\\"}", "\"99999999999999999999999", "\"\\", "-", "",
        "000000000000000000000000000001",
    ])
    func whatFitsOrIsNoWholeNumberIsNot(_ json: String) {
        #expect(JSONIntegers.unfit(in: Data(json.utf8)) == nil)
    }

    @Test func aNumberIsNeverStoredAsAnother() {
        #expect(throws: ClientError.self) { try MessagePack(json: Data("[18446744073709551616]".utf8)) }
        #expect(throws: ClientError.undecodable("not a JSON document")) { try MessagePack(json: Data([0x31, 0])) }
        #expect(throws: ClientError.undecodable("not a JSON document")) { try MessagePack(json: Data("{".utf8)) }
    }
}
