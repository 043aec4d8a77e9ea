import Protobuf
import SiloAPI
import Testing

/// Wrong input is an error with a reason.
@Suite(.timeLimit(.minutes(10))) struct BadInputTests {
    typealias Request = SiloV1.EnqueueRequest

    @Test(arguments: [
        ([0x0A], .truncated),                                                   // a field with no length
        ([0x0A, 5, 0x61], .truncated),                                          // text that ends early
        ([0x18], .truncated),                                                   // a number that is not there
        ([0x18, 0x80], .truncated),                                             // a number that ends early
        ([0x98], .truncated),                                                   // a tag that ends early
        ([0xC5, 0x3E, 1, 2], .truncated),                                       // four bytes that end early
        ([0x93, 0x7D, 8, 1], .truncated),                                       // a group that does not end
        ([0x18, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], .malformedInteger),
        ([0x18, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 1], .malformedInteger),
        ([0x00], .malformedTag),                                                // field number 0
        ([0x07], .malformedTag),
        ([0x1E, 1], .malformedTag),                                             // wire type 6
        ([0x1F, 1], .malformedTag),                                             // wire type 7
        ([0x98, 0x80, 0x80, 0x80, 0x80, 0, 1], .malformedTag),                  // a tag of six bytes
        ([0xF8, 0xFF, 0xFF, 0xFF, 0x7F, 1], .malformedTag),                     // a field number above 2^29 - 1
        ([0x1C], .unbalancedGroup),
        ([0x93, 0x7D, 0x9C, 0x7D], .unbalancedGroup),                           // a group that ends with another's number
        ([0x0A, 2, 0xC3, 0x28], .invalidText),
        ([0x0A, 3, 0xED, 0xA0, 0x80], .invalidText),                            // half of a surrogate pair
        ([0x0A, 2, 0xC0, 0x80], .invalidText),                                  // a zero in two bytes
        ([0x0A, 9, 0x61, 0x61, 0x61, 0x61, 0x61, 0x61, 0x61, 0x61, 0xFF], .invalidText),
        ([0x4A, 3, 0x0A, 1, 0xFF], .invalidText),                               // a map's key
    ] as [([UInt8], DecodingError)])
    func isAnError(bytes: [UInt8], error: DecodingError) {
        #expect(throws: error) { try Request(serializedBytes: bytes) }
    }

    @Test(arguments: [UInt64(1) << 20, 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max])
    func aHugeLengthIsRefusedBeforeAnythingIsAllocated(length: UInt64) {
        var prefix = Writer()
        prefix.varint(length)
        for field in [0x0A, 0x2A, 0x32, 0x3A, 0x4A, 0xFA] as [UInt8] {  // text, messages, a list, a map, unknown
            let tag = field < 0x80 ? [field] : [field, 1]
            #expect(throws: DecodingError.truncated) { try Request(serializedBytes: tag + prefix.bytes() + [1]) }
        }
    }

    @Test func deepMessagesAreRefused() throws {
        #expect(throws: DecodingError.tooDeep) { try Nest(serializedBytes: nested(100_000)) }
        #expect(throws: DecodingError.tooDeep) { try Nest(serializedBytes: nested(Reader.depthMax)) }
        let deepest = nested(Reader.depthMax - 1)
        #expect(try Nest(serializedBytes: deepest).serializedBytes() == deepest)
    }

    @Test func deepUnknownGroupsAreRefused() throws {
        let open: [UInt8] = [0x93, 0x7D], close: [UInt8] = [0x94, 0x7D]
        func groups(_ depth: Int) -> [UInt8] {
            Array([[UInt8]](repeating: open, count: depth).joined()) + Array([[UInt8]](repeating: close, count: depth).joined())
        }
        #expect(throws: DecodingError.tooDeep) { try Request(serializedBytes: groups(100_000)) }
        #expect(try Request(serializedBytes: groups(50)).serializedBytes() == groups(50))
    }

    private func nested(_ depth: Int) -> [UInt8] {
        var writer = Writer()
        for _ in 0..<depth {
            writer.varint(UInt64(writer.count))
            writer.tag(10)
        }
        return writer.bytes()
    }

    @Test func nestedMessagesAreCountedTogether() throws {
        // Jobs that are empty messages: two bytes each.
        let batch = [UInt8]((0..<1000).flatMap { _ in [0x12, 0x00] as [UInt8] })
        let decode = { (limit: Int) in
            try batch.withUnsafeBytes { try SiloV1.EnqueueBatchRequest(decoding: $0, nestedMax: limit) }
        }
        #expect(try decode(1000).jobs.count == 1000)
        #expect(throws: DecodingError.tooMany) { try decode(999) }
    }
}
