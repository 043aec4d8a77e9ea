import Arrow
import CSQLite

/// Gives the rows of a statement on as Arrow IPC streams, a batch at a time (spec/query.md 8.3). A result without rows is one
/// batch without rows, so that its columns are known.
final class ArrowRows: RowSink {
    private let limits: QueryLimits
    private let deliver: (_ batch: [UInt8]) throws(QueryError) -> Void
    private var columns: [Column] = []
    private var writer: ArrowWriter?
    private(set) var delivered = StreamedRows()

    init(_ limits: QueryLimits, deliver: @escaping (_ batch: [UInt8]) throws(QueryError) -> Void) {
        self.limits = limits
        self.deliver = deliver
    }

    func begin(_ columns: [Column]) throws(QueryError) {
        self.columns = columns
        do throws(ArrowError) {
            writer = try ArrowWriter(columns.map { ArrowField($0.name, $0.type.arrow, nullable: $0.isNullable) })
        } catch {
            throw QueryError(error)
        }
    }

    func add(_ statement: PreparedStatement) throws(QueryError) {
        guard let writer else { return }
        for (index, column) in columns.enumerated() {
            do throws(ArrowError) {
                try append(ArrowValue(statement.handle, Int32(index)), column, index, writer)
            } catch {
                throw QueryError(error, column, ArrowValue(statement.handle, Int32(index)))
            }
            guard writer.bytes <= limits.batchBytesMax else { throw .rowTooLarge(limits.batchBytesMax) }
        }
        try endRow(writer)
    }

    func add(_ texts: [String]) throws(QueryError) {
        guard let writer else { return }
        do throws(ArrowError) {
            for (index, text) in texts.enumerated() { try writer.append(Array(text.utf8), index) }
        } catch {
            throw QueryError(error)
        }
        try endRow(writer)
    }

    func end() throws(QueryError) {
        guard let writer, writer.rows > 0 || delivered.bytes == 0 else { return }
        try endBatch(writer)
    }

    private func endRow(_ writer: ArrowWriter) throws(QueryError) {
        do throws(ArrowError) { try writer.endRow() } catch { throw QueryError(error) }
        delivered.rows += 1
        if writer.rows >= limits.batchRowsMax || writer.bytes >= limits.batchBytesGoal { try endBatch(writer) }
    }

    private func endBatch(_ writer: ArrowWriter) throws(QueryError) {
        let batch: [UInt8]
        do throws(ArrowError) { batch = try writer.endBatch() } catch { throw QueryError(error) }
        delivered.bytes += batch.count
        try deliver(batch)
    }

    private func append(_ value: ArrowValue, _ column: Column, _ index: Int, _ writer: ArrowWriter) throws(ArrowError) {
        guard !value.isNull else {
            guard column.isNullable else { throw .wrongValue }
            return try writer.appendNull(index)
        }
        switch column.type {
        case .null: try writer.appendNull(index)
        case .boolean: try writer.append(Int64(value.integer == 0 ? 0 : 1), index)
        case .int64, .int32, .uint8, .uint32, .uint64:
            if let integer = try value.exactInteger {
                try writer.append(integer, index)
            } else {
                try writer.append(try value.exactUnsigned, index)
            }
        case .float64: try writer.append(value.real, index)
        case .binary: try writer.append(value.blob, index)
        case .map: try writer.append(map: TextPairs.texts(value.blob), index)
        case .list: try writer.append(list: TextPairs.texts(value.blob), index)
        case .utf8, .json:
            if let text = value.text { try writer.append(text, index) } else { try writer.append(value.madeText, index) }
        }
    }
}

extension ColumnType {
    fileprivate var arrow: ArrowType {
        switch self {
        case .utf8, .json: .utf8
        case .int64: .int64
        case .int32: .int32
        case .uint8: .uint8
        case .uint32: .uint32
        case .uint64: .uint64
        case .float64: .float64
        case .boolean: .boolean
        case .binary: .binary
        case .null: .null
        case .map: .map
        case .list: .list
        }
    }
}

extension QueryError {
    fileprivate init(_ error: ArrowError) {
        switch error {
        case .noMemory: self = .execution("there is no memory for a batch")
        case .wrongValue: self = .execution("a value is not of its column's type")
        case .tooLarge: self = .execution("a column of a batch has more than 2 GiB")
        case .failed(let code): self = .execution("a batch cannot be written: error \(code)")
        }
    }

    fileprivate init(_ error: ArrowError, _ column: Column, _ value: ArrowValue) {
        guard error == .wrongValue else {
            self.init(error)
            return
        }
        self = .execution("column \(column.name) has \(value.shown), which is no \(column.type.name)")
    }
}
