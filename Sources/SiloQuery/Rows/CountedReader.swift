import SiloCore
import SiloStore
import Synchronization

/// What a statement read of a shard: rows of ranges, and rows that were looked up one by one.
package final class ReadCounts: Sendable {
    private let scannedRows = Atomic(0)
    private let foundRows = Atomic(0)
    private let onRead: @Sendable (_ scanned: Int, _ lookedUp: Int) -> Void

    /// - Parameter onRead: is told of each reading as well.
    init(onRead: @escaping @Sendable (_ scanned: Int, _ lookedUp: Int) -> Void = { _, _ in }) { self.onRead = onRead }

    package var scanned: Int { scannedRows.load(ordering: .relaxed) }
    package var lookedUp: Int { foundRows.load(ordering: .relaxed) }

    func noteScan(_ rows: Int) {
        scannedRows.add(rows, ordering: .relaxed)
        onRead(rows, 0)
    }

    func noteLookup() {
        foundRows.add(1, ordering: .relaxed)
        onRead(0, 1)
    }
}

/// Reads of one shard's view: counted, of nobody's rows but those that the statement may see, and only until it must end.
struct CountedReader: Sendable {
    let reader: any StoreReader
    let counts: ReadCounts
    let control: StatementControl
    let fence: Fence?
    let held: HeldRows

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        try checkTime()
        try fence?.check(key)
        counts.noteLookup()
        return try await reader.get(key)
    }

    /// The first rows of a range: as many, or as many as are not too much at once.
    func scan(_ range: (start: Bytes, end: Bytes), limit: Int) async throws(StoreError) -> RowPage {
        try checkTime()
        guard range.start.lexicographicallyPrecedes(range.end) else { return RowPage([], hasMore: false) }
        let page = try await reader.page(from: range.start, to: range.end, limit: limit, bytesMax: Self.pageBytes)
        counts.noteScan(page.rows.count)
        if let fence { for row in page.rows { try fence.check(row.key) } }
        return page
    }

    /// Every row of a range that is known to be short.
    func all(_ range: (start: Bytes, end: Bytes)) async throws(StoreError) -> [Row] {
        var all: [Row] = []
        try await each(range) { row throws(StoreError) in
            try held.take(row.key.count + row.value.count)
            all.append(row)
        }
        return all
    }

    /// Every row of a range, a page at a time.
    func each(_ range: (start: Bytes, end: Bytes), _ body: (Row) throws(StoreError) -> Void) async throws(StoreError) {
        var start = range.start
        while true {
            let page = try await scan((start, range.end), limit: Self.pageRows)
            for row in page.rows { try body(row) }
            guard page.hasMore, let last = page.rows.last else { return }
            start = last.key + [0]
        }
    }

    private static let pageRows = 1024
    private static let pageBytes = 1 << 20

    private func checkTime() throws(StoreError) {
        if control.end != nil { throw .unavailable("the statement has ended") }
    }
}

/// Lets no row of others through. Tables ask for the ranges of the tenants that a statement may see; should one ask for more, the
/// statement fails.
struct Fence: Sendable {
    /// What may follow the slice and the family, by the hash that it begins with.
    private let heads: [UInt64: [Bytes]]

    init(_ tenants: [Tenant]) {
        heads = Dictionary(
            tenants.map { ($0.hash.value, [Bytes(TenantKeys($0).range(.job).start.dropFirst(KeyReader.headBytes))]) },
            uniquingKeysWith: +)
    }

    func check(_ key: Bytes) throws(StoreError) {
        var parts = KeyReader(key)
        guard let hash = parts.number(), let heads = heads[hash],
            heads.contains(where: { key.dropFirst(KeyReader.headBytes).starts(with: $0) })
        else { throw .corrupt("a statement came upon a row that is not for it") }
    }
}

/// The memory of what a scan holds: rows that it has read and not handed on.
final class HeldRows: Sendable {
    /// Of all scans of a statement.
    final class Budget: Sendable {
        private let bytes = Atomic(0)
        private let most: Int
        private let control: StatementControl

        init(most: Int, _ control: StatementControl) {
            self.most = most
            self.control = control
        }

        fileprivate func take(_ count: Int) throws(StoreError) {
            guard bytes.add(count, ordering: .relaxed).newValue > most else { return }
            control.end(.memory(Int64(most)))
            throw .unavailable("the statement has ended")
        }

        fileprivate func giveBack(_ count: Int) { bytes.subtract(count, ordering: .relaxed) }
    }
    private let budget: Budget
    private let own = Atomic(0)
    /// What a row costs besides its bytes.
    private static let rowBytes = 96

    init(_ budget: Budget) { self.budget = budget }

    deinit { clear() }

    func take(_ bytes: Int) throws(StoreError) {
        own.add(bytes + Self.rowBytes, ordering: .relaxed)
        try budget.take(bytes + Self.rowBytes)
    }

    func clear() { budget.giveBack(own.exchange(0, ordering: .relaxed)) }
}
