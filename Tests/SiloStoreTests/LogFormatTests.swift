import SiloCore
import SiloStore
import SiloTesting
import Testing

@Suite("What a log's files hold", .timeLimit(.minutes(10))) struct LogFormatTests {
    private let log = LogIdentity(id: 5, name: "shard")
    private var header: SegmentHeader { SegmentHeader(log: log, number: 3, firstSequence: 10, fileBytes: 1 << 16) }

    /// A segment with records of so many bytes each, one batch a record.
    private func segment(_ sizes: [Int], _ header: SegmentHeader) -> Bytes {
        var bytes = header.block()
        for (index, size) in sizes.enumerated() {
            let batch = Bytes(repeating: UInt8(index + 1), count: size)
            bytes += LogRecord.block(
                [batch], firstSequence: header.firstSequence + UInt64(index), seed: LogSettings().seed(of: header))
        }
        return bytes + Bytes(repeating: 0, count: max(0, Int(header.fileBytes) - bytes.count))
    }

    @Test("a header is read as it was written, and not at all when any bit of it turned")
    func headers() {
        let block = header.block()
        #expect(block.count == LogFormat.blockBytes)
        #expect(SegmentHeader.read(block) == .header(header))
        for place in stride(from: 0, to: block.count, by: 97) {
            var turned = block
            turned[place] ^= 4
            #expect(SegmentHeader.read(turned) == .none)
        }
        #expect(SegmentHeader.read([]) == .none)
        #expect(SegmentHeader.read(Bytes(repeating: 0, count: 4096)) == .none)
    }

    @Test("records are read up to the end")
    func records() {
        let content = SegmentContent(of: header, segment([1, 5000, 4072, 4073], header))
        #expect(content.records.map(\.firstSequence) == [10, 11, 12, 13])
        #expect(content.records.map(\.content.count) == [1, 5000, 4072, 4073])
        // One block for the header, then 1, 2, 1 and 2.
        #expect(content.end == 7 * LogFormat.blockBytes)
        #expect(content.lastSequence == 13 && content.laterRecord == nil && !content.hasUnfinishedRecord)
        #expect(SegmentContent(of: header, segment([], header)).lastSequence == nil)
    }

    @Test("a torn last record ends the segment; one with another after it is damage", arguments: [0, 1, 2, 3])
    func tornRecords(index: Int) {
        let whole = segment([5000, 5000, 5000, 5000], header)
        for block in 0..<2 {
            var torn = whole
            let start = (1 + 2 * index + block) * LogFormat.blockBytes
            torn.replaceSubrange(start..<start + 512, with: Bytes(repeating: 0xaa, count: 512))
            let content = SegmentContent(of: header, torn)
            #expect(content.records.count == index)
            // Its first block says which record it is; without that nobody can tell.
            #expect(content.hasUnfinishedRecord == (block == 1))
            #expect(content.laterRecord == (index < 3 ? (3 + 2 * index) * LogFormat.blockBytes : nil))
        }
    }

    @Test("what an earlier use of the file left is not taken for new")
    func recycledTails() {
        let before = segment([100, 100, 100, 100, 100], SegmentHeader(log: log, number: 2, firstSequence: 5, fileBytes: 1 << 16))
        let now = segment([100, 100], header)
        // The first two of five records are written over. The third would even be next in order.
        let bytes = Bytes(now.prefix(3 * LogFormat.blockBytes) + before.dropFirst(3 * LogFormat.blockBytes))
        let content = SegmentContent(of: header, bytes)
        #expect(content.records.map(\.firstSequence) == [10, 11])
        #expect(content.laterRecord == nil && !content.hasUnfinishedRecord)
    }

    @Test("records of another log, or another segment, do not check")
    func foreignRecords() {
        let bytes = segment([100], header)
        for other in [
            SegmentHeader(log: LogIdentity(id: 6, name: "shard"), number: 3, firstSequence: 10, fileBytes: 1 << 16),
            SegmentHeader(log: log, number: 4, firstSequence: 10, fileBytes: 1 << 16),
        ] {
            #expect(SegmentContent(of: other, bytes).records.isEmpty)
        }
    }

    @Test("batches are read as they were written", arguments: 1...50 as ClosedRange<UInt64>)
    func batches(seed: UInt64) throws {
        let random = SeededRandom(seed: seed)
        func bytes(_ max: Int) -> Bytes { Bytes((0..<random.below(max)).map { _ in UInt8(random.below(256)) }) }
        let batches = (0..<1 + random.below(4)).map { _ in
            (0..<random.below(6)).map { _ in
                let expires = random.chance(30) ? Timestamp(random.number(in: .min ... .max)) : nil
                return random.chance(70)
                    ? Write(key: bytes(300), value: bytes(3000), expiresAt: expires, isNew: random.chance(40))
                    : Write(key: bytes(300), value: nil)
            }
        }
        let content = batches.flatMap(BatchCoding.encode)
        #expect(BatchCoding.decode(content[...], batches: batches.count) == batches)
        // Whatever is cut off, it is seen.
        for count in stride(from: 0, to: content.count, by: 1 + content.count / 50) {
            #expect(BatchCoding.decode(content.prefix(count), batches: batches.count) == nil)
        }
    }
}
