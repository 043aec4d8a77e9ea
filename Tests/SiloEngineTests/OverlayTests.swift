import SiloCore
import SiloStore
import SiloTesting
import Testing

@testable import SiloEngine

@Suite(.timeLimit(.minutes(10))) struct OverlayTests {
    private let store = MemoryStore(clock: ManualClock())

    private func overlay(storing rows: [(UInt8, UInt8)] = []) async throws -> Overlay {
        try await store.write(rows.map { Write(key: [$0.0], value: [$0.1]) })
        return Overlay(over: store)
    }

    private func all(_ overlay: Overlay) async throws -> [UInt8: UInt8] {
        let rows = try await overlay.scan(from: [0], to: [255], limit: 1000).rows
        return Dictionary(uniqueKeysWithValues: rows.map { ($0.key[0], $0.value[0]) })
    }

    @Test("reads see what the batch has changed, over what is stored")
    func reads() async throws {
        let overlay = try await overlay(storing: [(1, 10), (2, 20), (3, 30)])
        overlay.put([2], [21])
        overlay.delete([3])
        overlay.put([4], [40])
        #expect(try await overlay.get([1]) == [10])
        #expect(try await overlay.get([2]) == [21])
        #expect(try await overlay.get([3]) == nil)
        #expect(try await overlay.get([4]) == [40])
        #expect(try await all(overlay) == [1: 10, 2: 21, 4: 40])
        #expect(try await store.get([2]) == [20], "the store is untouched")
    }

    @Test("what is known without a read holds until the batch changes it, or is taken")
    func presumed() async throws {
        let overlay = try await overlay(storing: [(1, 10)])
        overlay.presume([1], isThere: true)
        overlay.presume([2], isThere: false)
        #expect(overlay.isPresumed([1]) && !overlay.isPresumed([2]))
        #expect(try await overlay.get([1]) == [10], "its content is read when somebody asks for it")
        overlay.delete([1])
        #expect(!overlay.isPresumed([1]))
        #expect(try await overlay.get([1]) == nil)
        overlay.put([2], [20])
        #expect(try await overlay.get([2]) == [20])
        #expect(overlay.takeBatch().count == 2)
        overlay.presume([3], isThere: true)
        _ = overlay.takeBatch()
        #expect(!overlay.isPresumed([3]))
    }

    @Test("a page holds the batch's changes up to where its stored rows end, and says where to go on")
    func pages() async throws {
        let overlay = try await overlay(storing: [(1, 10), (3, 30), (5, 50)])
        overlay.put([2], [20])
        overlay.put([4], [40])
        overlay.delete([3])
        let first = try await overlay.scan(from: [0], to: [9], limit: 2)
        #expect(first.rows.map(\.key) == [[1], [2]])
        let next = try #require(first.next)
        let second = try await overlay.scan(from: next, to: [9], limit: 2)
        #expect(second.rows.map(\.key) == [[4], [5]])
        #expect(second.next == nil)
        let stored = try await overlay.scan(from: [0], to: [9], limit: 9, merging: false)
        #expect(stored.rows.map(\.key) == [[1], [3], [5]])
    }

    @Test("a row that came and went in a batch is not in it; one that was there is not new when it comes back")
    func newRows() async throws {
        let overlay = try await overlay(storing: [(1, 10), (2, 20)])
        overlay.insert([5], [50])
        overlay.insert([6], [60])
        overlay.put([6], [61])
        overlay.delete([5])
        overlay.delete([1])
        overlay.delete([2])
        overlay.insert([2], [21])
        #expect(try await all(overlay) == [2: 21, 6: 61])
        #expect(
            overlay.takeBatch() == [
                Write(key: [6], value: [61], isNew: true), Write(key: [1], value: nil), Write(key: [2], value: [21]),
            ])
    }

    @Test("a batch names each key once, and the next begins empty")
    func batches() async throws {
        let overlay = try await overlay()
        overlay.put([1], [10])
        overlay.put([2], [20])
        overlay.put([1], [11], expiresAt: Timestamp(5))
        overlay.delete([2])
        #expect(overlay.takeBatch() == [Write(key: [1], value: [11], expiresAt: Timestamp(5)), Write(key: [2], value: nil)])
        #expect(overlay.takeBatch() == [])
        #expect(try await overlay.get([1]) == nil)
    }
}
