import SiloAPI

/// Where statements go, and whose rows they see.
struct QueryPlace: Sendable {
    let server: Server
    var tenant: String?
    /// Nil: all shards.
    var shard: String?
    /// Of all shards: those that do not answer are left out.
    var allowsPartial = false

    /// The server to ask: any one, or the shard's own.
    /// - Throws: when a tenant is named and the servers know none: they would answer with everybody's rows.
    func holder() async throws -> Server {
        if tenant != nil, try await server.clusterInfo().tenancy == false {
            throw Failure("the servers have tenancy off, where all jobs are of one tenant: leave --tenant out")
        }
        guard let shard else { return server }
        return try await server.owner(of: shard)
    }

    func request(_ statement: QueryStatement) -> SiloV1.QueryRequest {
        var request = SiloV1.QueryRequest()
        request.shard = shard ?? ""
        request.sql = statement.sql
        request.tenant = tenant
        request.parameters = statement.parameters
        request.allowPartial = allowsPartial
        return request
    }

    func ask(_ statement: QueryStatement) async throws -> QueryAnswer {
        try QueryAnswer(try await holder().call(SiloV1.Silo.query, request(statement)))
    }
}
