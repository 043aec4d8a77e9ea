import SiloAPI

/// One row of an SQL statement.
struct Row: Sendable {
    private let values: [String: MessagePack]

    init(_ row: SiloV1.SerializedBytes) {
        var values: [String: MessagePack] = [:]
        if case .msgpack(let bytes)? = row.encoding, case .map(let pairs)? = try? MessagePack(bytes) {
            for case (.text(let name), let value) in pairs { values[name] = value }
        }
        self.values = values
    }

    subscript(column: String) -> MessagePack? {
        guard let value = values[column], value != .null else { return nil }
        return value
    }
    func text(_ column: String) -> String { self[column]?.text ?? "" }
    func int(_ column: String) -> Int64? { self[column]?.int }
}

extension Visit {
    /// What an SQL statement finds for the visitor. Values go in as parameters, `$1` and on, never into the text.
    /// - Parameter tenant: nil asks for everybody's rows.
    func rows(
        _ sql: String, _ parameters: [SiloV1.QueryParameter.OneOfValue] = [], shard: String, tenant: String? = nil
    ) async throws(CallFailure) -> [Row] {
        var request = SiloV1.QueryRequest(sql, parameters)
        request.shard = shard
        request.tenant = tenant
        return try await call(SiloV1.Silo.query, request).rows.map { Row($0) }
    }

    /// The same of all shards that answer.
    func rows(
        _ sql: String, _ parameters: [SiloV1.QueryParameter.OneOfValue], missing: inout MissingShards
    ) async throws(CallFailure) -> [Row] {
        var request = SiloV1.QueryRequest(sql, parameters)
        request.allowPartial = true
        let answer = try await call(SiloV1.Silo.query, request)
        missing.add(answer.missingShards.map(\.shardId))
        return answer.rows.map { Row($0) }
    }
}

extension SiloV1.QueryRequest {
    fileprivate init(_ sql: String, _ parameters: [SiloV1.QueryParameter.OneOfValue]) {
        self.init()
        self.sql = sql
        self.parameters = parameters.map { value in
            var parameter = SiloV1.QueryParameter()
            parameter.value = value
            return parameter
        }
    }
}
