/// Where the rows of a statement go, in their order, on its thread.
protocol RowSink: AnyObject {
    /// Once, before the first row.
    func begin(_ columns: [Column]) throws(QueryError)
    /// The row that a statement stands at.
    func add(_ statement: PreparedStatement) throws(QueryError)
    /// A row of texts.
    func add(_ texts: [String]) throws(QueryError)
    /// There are no more.
    func end() throws(QueryError)
}

/// All rows of an answer, as MessagePack.
final class CollectedRows: RowSink {
    private(set) var columns: [Column] = []
    private(set) var rows: [[UInt8]] = []
    private var encoder = MessagePackRows([])
    private var bytes = 0
    private let bytesMax: Int

    /// - Parameter bytesMax: of all rows together; 0: no bound.
    init(bytesMax: Int) { self.bytesMax = bytesMax }

    func begin(_ columns: [Column]) {
        self.columns = columns
        encoder = MessagePackRows(columns)
    }

    func add(_ statement: PreparedStatement) throws(QueryError) {
        let row = encoder.row(statement)
        bytes += row.count + MemoryLayout<[UInt8]>.stride
        guard bytesMax == 0 || bytes <= bytesMax else { throw .resultTooLarge(bytesMax) }
        rows.append(row)
    }

    func add(_ texts: [String]) { rows.append(encoder.row(of: texts)) }
    func end() {}
}
