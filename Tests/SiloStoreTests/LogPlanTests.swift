import SiloCore
import SiloStore
import Testing

@Suite("What of a log's folder counts", .timeLimit(.minutes(10))) struct LogPlanTests {
    private static let log = LogIdentity(id: 77, name: "shard")

    private func file(_ number: UInt64, from first: UInt64, _ log: LogIdentity = Self.log) -> LogPlan.File {
        .init(
            name: "f\(number)", bytes: 1 << 16,
            header: SegmentHeader(log: log, number: number, firstSequence: first, fileBytes: 1 << 16))
    }

    private func at(_ sequence: UInt64, isWhole: Bool = false, log: UInt64 = 77) -> LogPosition {
        LogPosition(logID: log, sequence: sequence, isWhole: isWhole)
    }

    private func refusal(_ files: [LogPlan.File], _ position: LogPosition?, name: String = "shard") -> String? {
        do throws(StoreError) {
            _ = try LogPlan(files, name: name, position: position)
            return nil
        } catch {
            guard case .corrupt(let text, _) = error else { return "?" }
            return text
        }
    }

    @Test("a segment is live when it may hold a batch that is not below, and all after it are")
    func liveSegments() throws {
        let files = [file(7, from: 20), file(5, from: 1), file(6, from: 10), file(8, from: 20)]
        for (sequence, live) in [(0, [5, 6, 7, 8]), (8, [5, 6, 7, 8]), (9, [6, 7, 8]), (18, [6, 7, 8]), (19, [8]), (30, [8])]
            as [(UInt64, [UInt64])]
        {
            let plan = try LogPlan(files, name: "shard", position: at(sequence))
            #expect(plan.live.map(\.header.number) == live)
            #expect(plan.free.count + live.count == 4)
            #expect(plan.lastNumber == 8)
        }
    }

    @Test("there may be no log beside data that is whole, or new")
    func noLog() throws {
        #expect(try LogPlan([], name: "shard", position: nil).log == nil)
        #expect(try LogPlan([], name: "shard", position: at(5, isWhole: true)).log == nil)
        #expect(refusal([], at(5))?.contains("missing") == true)
        #expect(refusal([.init(name: "f", bytes: 0, header: nil)], at(5))?.contains("missing") == true)
    }

    @Test("a log that does not go with its data is refused, and said why")
    func foreignLogs() {
        let other = LogIdentity(id: 78, name: "shard")
        #expect(refusal([file(1, from: 1)], at(0, log: 9))?.contains("does not belong") == true)
        #expect(refusal([file(1, from: 1, LogIdentity(id: 77, name: "another"))], nil)?.contains("is that of another") == true)
        #expect(refusal([file(1, from: 1), file(2, from: 2, other)], at(0))?.contains("two logs") == true)
        #expect(refusal([file(1, from: 1), file(1, from: 2)], at(0))?.contains("twice") == true)
        #expect(refusal([file(1, from: 1), file(3, from: 9)], at(0))?.contains("segment 2") == true)
        #expect(refusal([file(4, from: 9)], at(7))?.contains("begins with batch 9") == true)
        #expect(refusal([file(4, from: 9)], nil)?.contains("begins with batch 9") == true)
        // Begun beside whole data that does not know it yet.
        #expect(refusal([file(1, from: 8)], at(7, isWhole: true, log: 9)) == nil)
        #expect(refusal([file(1, from: 7)], at(7, isWhole: true, log: 9))?.contains("does not belong") == true)
    }

    @Test("files of the log before, which was whole when this one was begun, are left over and free")
    func leftOver() throws {
        let before = LogIdentity(id: 66, name: "shard")
        let files = [file(3, from: 50, before), file(9, from: 90, before), file(1, from: 101)]
        let plan = try LogPlan(files, name: "shard", position: LogPosition(logID: 77, sequence: 100, isWhole: false, after: 66))
        #expect(plan.live.map(\.file) == ["f1"] && plan.free.map(\.name) == ["f3", "f9"] && plan.lastNumber == 1)
        // The one after was on another machine.
        let elsewhere = LogPosition(logID: 78, sequence: 200, isWhole: true, after: 66)
        let left = try LogPlan([file(3, from: 50, before)], name: "shard", position: elsewhere)
        #expect(left.log == nil && left.live.isEmpty && left.free.map(\.name) == ["f3"])
        let open = LogPosition(logID: 78, sequence: 200, isWhole: false, after: 66)
        #expect(refusal([file(3, from: 50, before)], open)?.contains("is missing") == true)
        // Of one that nobody knows the end of, batches may be there that are nowhere else.
        let text = refusal([file(1, from: 101)], LogPosition(logID: 79, sequence: 200, isWhole: true, after: 78))
        #expect(text?.contains("batches 101 and later") == true && text?.contains("move its files away") == true)
    }

    @Test("a position is read as it was written, and as the first format has it")
    func positions() {
        for position in [
            LogPosition(logID: 7, sequence: 8, isWhole: true), LogPosition(logID: 7, sequence: 8, begun: 12, isWhole: false),
            LogPosition(logID: 7, sequence: 8, isWhole: false, after: 9),
        ] {
            #expect(LogPosition(position.bytes) == position)
            for count in 0..<position.bytes.count { #expect(LogPosition(Bytes(position.bytes.prefix(count))) == nil) }
        }
        let first = [1, 1] + LogPosition(logID: 7, sequence: 8, isWhole: true).bytes[2..<18]
        #expect(LogPosition(Bytes(first)) == LogPosition(logID: 7, sequence: 8, isWhole: true))
        #expect(LogPosition([3] + Bytes(repeating: 0, count: 33)) == nil)
    }
}
