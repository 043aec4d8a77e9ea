import SiloStore

/// Brings the pages of all shards to the statement's thread. Some shards are read side by side; when an order is asked for, in
/// which each shard gives its rows, they are merged.
final class RowPump<Element: Sendable> {
    private let reads: PageReads<Element>
    private let readsAhead: Bool
    /// Nil: rows come in no order.
    private var merge: Merge<Element>?
    /// Sources whose next page is not asked for yet.
    private var idle: ArraySlice<Int>

    /// Shards that one scan reads at once.
    private static var sideBySide: Int { 4 }

    /// - Parameters:
    ///   - readsAhead: false where one page of each is likely to be enough.
    ///   - precedes: the order of the rows; nil: none.
    init(
        _ scans: [ShardScan<Element>], _ run: StatementRun, readsAhead: Bool, by precedes: ((Element, Element) -> Bool)? = nil
    ) {
        reads = PageReads(scans, run)
        self.readsAhead = readsAhead
        merge = precedes.map { Merge(by: $0) }
        idle = ArraySlice(scans.indices)
    }

    /// Waits for a page; nil: there are no more.
    func next() throws(QueryError) -> [Element]? {
        if merge != nil { return try merged() }
        beginReads()
        while reads.count > 0 {
            let (source, page) = try reads.next()
            if let page {
                if readsAhead { reads.begin(source) } else { idle.append(source) }
                return page
            }
            beginReads()
        }
        return nil
    }

    private func beginReads() {
        while reads.count < Self.sideBySide, let source = idle.popFirst() { reads.begin(source) }
    }

    /// Each source has to give a page before the first row is known.
    private func merged() throws(QueryError) -> [Element]? {
        beginReads()
        while reads.count > 0 {
            let (source, page) = try reads.next()
            if let page { merge?.add(page, of: source) }
            beginReads()
        }
        guard let (rows, emptied) = merge?.rows(), !rows.isEmpty else { return nil }
        if let emptied { idle.append(emptied) }
        return rows
    }
}
