import SiloCore
import SiloStore
import SiloTesting
import Testing

@Suite("Rows in key order", .timeLimit(.minutes(10))) struct SortedRowsTests {
    @Test("they are those of a dictionary, whatever was put and deleted", arguments: 1...20 as ClosedRange<UInt64>)
    func agreesWithADictionary(seed: UInt64) {
        let random = SeededRandom(seed: seed)
        var rows = SortedRows()
        var model: [Bytes: Bytes] = [:]
        for _ in 0..<3000 {
            let key = Bytes((0...random.below(3)).map { _ in UInt8(random.below(6)) })
            let value: Bytes? = random.chance(60) ? [UInt8(random.below(256))] : nil
            rows.apply([Write(key: key, value: value)])
            model[key] = value
        }
        let sorted = model.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { Row(key: $0.key, value: $0.value) }
        #expect(rows.all(at: Timestamp(0)) == sorted)
        let (start, end): (Bytes, Bytes) = ([2], [4, 3])
        let within = sorted.filter { !$0.key.lexicographicallyPrecedes(start) && $0.key.lexicographicallyPrecedes(end) }
        #expect(rows.scan(from: start, to: end, limit: 40, at: Timestamp(0)) == Array(within.prefix(40)))
    }
}
