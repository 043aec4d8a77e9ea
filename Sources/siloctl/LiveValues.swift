import CommandLineTool
import SiloAPI
import SiloCore

/// What a shell offers at a Tab and only a server knows. Whoever types waits a moment at most, and hears of no failure.
enum LiveValues {
    private static let patience = Duration.seconds(1)
    private static let groupsMax = 500

    /// - Parameters:
    ///   - placeholder: what stands there in the usage.
    ///   - line: the options that name the server, and the tenant.
    static func offer(_ placeholder: String, _ line: Arguments) async -> [String] {
        let ask: @Sendable (Server) async throws -> [String]
        switch placeholder {
        case "shard": ask = { try await $0.clusterInfo().shardOwners.map(\.shardId) }
        case "group":
            let tenant = (try? ServerPlace.tenant(line)) ?? nil
            ask = { try await groups($0, of: tenant) }
        default: return []
        }
        return await offer(line, ask)
    }

    private static func offer(_ line: Arguments, _ ask: @escaping @Sendable (Server) async throws -> [String]) async -> [String] {
        guard let server = try? Server(line, patience: patience) else { return [] }
        defer { server.close() }
        return await withTaskGroup(of: [String].self) { group in
            group.addTask { (try? await ask(server)) ?? [] }
            group.addTask {
                try? await SystemClock().sleep(milliseconds: Int64(patience.components.seconds) * 1000)
                return []
            }
            defer { group.cancelAll() }
            return await group.next() ?? []
        }
    }

    /// Those with most jobs first. The servers count them without reading a job.
    private static func groups(_ server: Server, of tenant: String?) async throws -> [String] {
        var request = SiloV1.QueryRequest()
        request.sql = "SELECT task_group, COUNT(*) AS n FROM jobs GROUP BY task_group ORDER BY n DESC LIMIT \(groupsMax)"
        request.tenant = tenant
        return try QueryAnswer(await server.call(SiloV1.Silo.query, request)).values.compactMap { $0.first?.cellText }
    }
}
