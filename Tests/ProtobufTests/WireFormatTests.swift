import Protobuf
import SiloAPI
import Testing

@Suite(.timeLimit(.minutes(10))) struct WireFormatTests {
    typealias Request = SiloV1.EnqueueRequest

    @Test func keepsUnknownFieldsInOrder() throws {
        // Field 2000 as a number, 2001 as text, 2002 as a group that holds field 1, 2003 as four bytes, 2004 as eight.
        let unknown: [UInt8] = [0x80, 0x7D, 5, 0x8A, 0x7D, 1, 0x61, 0x93, 0x7D, 8, 1, 0x94, 0x7D, 0x9D, 0x7D, 1, 2, 3, 4,
                                0xA1, 0x7D, 1, 2, 3, 4, 5, 6, 7, 8]
        let known: [UInt8] = [0x12, 2, 0x69, 0x64]
        let request = try Request(serializedBytes: Array(unknown[..<3]) + known + unknown[3...])
        #expect(request.id == "id")
        #expect(request.serializedBytes() == known + unknown)
    }

    @Test func keepsAFieldOfAnotherWireTypeAsUnknown() throws {
        let bytes: [UInt8] = [0x10, 1]  // field 2, a string, as a number
        let request = try Request(serializedBytes: bytes)
        #expect(request.id.isEmpty)
        #expect(request.serializedBytes() == bytes)
    }

    @Test func writesMapsInKeyOrder() throws {
        var request = Request()
        for key in (0..<50).map({ "key-\($0)" }).shuffled() { request.metadata[key] = key }
        var again = Request()
        for key in request.metadata.keys.sorted() { again.metadata[key] = key }
        #expect(request.serializedBytes() == again.serializedBytes())
        var keys: [String] = []
        request.serializedBytes().withUnsafeBytes { bytes in
            keys = String(decoding: bytes, as: UTF8.self).matches(of: /\n.(key-\d+)/).map { String($0.1) }
        }
        #expect(keys == request.metadata.keys.sorted())
    }

    @Test func keepsNumbersThatAnEnumerationDoesNotName() throws {
        for number in [-1, 77, Int32.max] {
            var job = SiloV1.GetJobResponse()
            job.status = SiloV1.JobStatus(rawValue: number)
            #expect(try SiloV1.GetJobResponse(serializedBytes: job.serializedBytes()).status.rawValue == number)
        }
    }

    @Test func tellsAbsentFromEmpty() throws {
        var request = Request()
        #expect(request.serializedBytes().isEmpty)
        request.tenant = ""
        request.retryPolicy = .init()
        request.payload = .init()
        #expect(request.serializedBytes() == [0x2A, 0, 0x32, 0, 0x42, 0])
        #expect(try Request(serializedBytes: request.serializedBytes()) == request)
        #expect(try SiloV1.LeaseTasksRequest(serializedBytes: [0xC0, 0x3E, 0]).waitMs == 0)
    }

    @Test func aFieldThatComesTwiceFollowsTheWireFormat() throws {
        // The last scalar stays, messages merge, and a new choice of a oneof replaces the old one.
        let request = try Request(serializedBytes: [0x18, 1, 0x18, 2, 0x2A, 2, 8, 1, 0x2A, 2, 0x10, 2])
        #expect(request.priority == 2)
        #expect(request.retryPolicy?.retryCount == 1)
        #expect(request.retryPolicy?.initialIntervalMs == 2)
        let outcome = try SiloV1.ReportOutcomeRequest(serializedBytes: [0x1A, 3, 0x0A, 1, 7, 0x32, 0])
        #expect(outcome.outcome == .cancelled(.init()))
    }

    @Test func writesMinusZero() throws {
        var policy = SiloV1.RetryPolicy()
        policy.backoffFactor = -0.0
        #expect(policy.serializedBytes().count == 9)
        #expect(try SiloV1.RetryPolicy(serializedBytes: policy.serializedBytes()).backoffFactor.sign == .minus)
    }

    @Test func growsForLargeMessages() throws {
        var request = Request()
        request.payload = .init()
        request.payload?.encoding = .msgpack([UInt8](repeating: 1, count: 3_000_000))
        request.id = String(repeating: "x", count: 100_000)
        let bytes = request.serializedBytes()
        #expect(try Request(serializedBytes: bytes) == request)
    }
}
