import SQLText
import SiloAPI
import SiloCore
import Synchronization

/// The tables and their columns, as the server tells them: asked once, for a build has always the same.
final class SQLSchema: Sendable {
    struct Table: Sendable {
        let name: String
        let about: String
        /// Nil: they are not known yet.
        let columns: [SQLAnswer.Column]?
    }
    private struct State {
        var columns: [String: [SQLAnswer.Column]] = [:]
        /// When a server that did not tell is asked again, in steady time.
        var nextAt = Timestamp(0)
    }
    private let state = Mutex(State())
    private static let pauseMilliseconds: Int64 = 30_000

    /// All tables; what is not known is asked for, one after another so that a server has few statements at once.
    func tables(_ visit: Visit) async -> [Table] {
        for table in SQLTable.all {
            guard await isKnown(table.name, visit) else { break }
        }
        let known = state.withLock { $0.columns }
        return SQLTable.all.map { Table(name: $0.name, about: $0.about, columns: known[$0.name]) }
    }

    /// Whether the columns of a table are known now.
    private func isKnown(_ table: String, _ visit: Visit) async -> Bool {
        let now = visit.site.backend.clock.steady
        let (isKnown, isTime) = state.withLock { ($0.columns[table] != nil, $0.nextAt <= now) }
        guard !isKnown, isTime else { return isKnown }
        var request = SiloV1.QueryRequest()
        request.sql = "SELECT * FROM \(table) LIMIT 0"
        let answer = try? await visit.call(SiloV1.Silo.query, request)
        let columns = answer.map { SQLAnswer($0).columns }
        state.withLock { state in
            if let columns {
                state.columns[table] = columns
            } else {
                state.nextAt = now + Self.pauseMilliseconds
            }
        }
        return columns != nil
    }
}
