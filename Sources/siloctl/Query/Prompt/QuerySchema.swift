import SQLText
import Synchronization

/// The tables and their columns, as far as the server has told them.
final class QuerySchema: Sendable {
    private let columns = Mutex<[String: [QueryAnswer.Column]]>([:])

    /// - Returns: nil when it has not been learnt.
    func columns(of table: String) -> [QueryAnswer.Column]? { columns.withLock { $0[table] } }

    var isKnown: Bool { columns.withLock { !$0.isEmpty } }

    /// The names of all columns there are, or of some tables'.
    func columnNames(of tables: [String]? = nil) -> [String] {
        let known = columns.withLock { $0 }
        let all = (tables ?? SQLTable.all.map(\.name)).flatMap { known[$0] ?? [] }.map(\.name)
        var seen: Set<String> = []
        return all.filter { seen.insert($0).inserted }
    }

    /// Asks for the columns of a table; reads no row.
    @discardableResult
    func learn(_ table: String, at place: QueryPlace) async throws -> [QueryAnswer.Column] {
        let answer = try await place.ask(QueryStatement("SELECT * FROM \(table) LIMIT 0"))
        columns.withLock { $0[table] = answer.columns }
        return answer.columns
    }

    /// Asks for all tables while somebody types, one after another so that a server has few statements at once. What cannot be
    /// had is left out.
    func learnMeanwhile(at place: QueryPlace) {
        // Nothing waits for it: without it there are no columns to complete.
        Task { for table in SQLTable.all { _ = try? await learn(table.name, at: place) } }
    }
}
