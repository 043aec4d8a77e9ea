import CommandLineTool
import Foundation
import SiloAPI
import SiloCore

/// `tenant hash`, `tenant locate` and `tenant drop-holders`.
struct TenantCommands {
    let arguments: Arguments
    let output: Output

    /// Asks nobody.
    func hash() throws {
        let tenant = arguments.operands[0]
        let hash = Tenant(tenant).hash.text
        try output.print(["tenant_id": tenant, "hash": hash], ["\(hash)"])
    }

    func locate() async throws {
        let tenant = arguments.operands[0]
        guard !tenant.isEmpty else { throw Arguments.Mistake("the tenant is empty: name one") }
        let hash = Tenant(tenant).hash.text
        let owner = try await Server(arguments).clusterInfo().owner(of: tenant)
        try output.print(
            [
                "tenant_id": tenant, "tenant_hash": hash, "shard_id": owner.shardId, "node_id": owner.nodeId,
                "grpc_addr": owner.grpcAddr, "range_start": owner.rangeStart, "range_end": owner.rangeEnd,
            ],
            Output.fields([
                ("Tenant ID", "\(tenant)"), ("Tenant Hash", "\(hash)"), ("Shard ID", "\(owner.shardId)"),
                ("Node ID", owner.nodeId.isEmpty ? Line("nobody", .bad) : "\(owner.nodeId)"),
                ("gRPC Addr", owner.grpcAddr.isEmpty ? "-" : "\(owner.grpcAddr)"), ("Shard Range", "\(owner.range)"),
            ])
        )
    }

    func dropHolders() async throws {
        let tenant = try ServerPlace.tenant(arguments)
        let key = arguments.text("key")
        guard key != "" else { throw Arguments.Mistake("--key is empty: it names a limit") }
        let slots = "every slot \(key.map { "of limit \($0) " } ?? "")\(Self.which(tenant))"
        guard arguments.has("yes") || isatty(STDIN_FILENO) == 1 else {
            throw Arguments.Mistake("this frees \(slots), and nobody can be asked: say so with --yes")
        }
        let (server, shard) = try await Server(arguments).owner(of: nil, orOf: tenant)
        let limits = key.map { "limit \($0)" } ?? "every limit"
        let warning = tenant == nil ? "No tenant is named: this frees every slot of \(limits), whoever holds it" : nil
        if let warning, arguments.has("yes") { Program.complain(warning) }
        let question = "\(warning ?? "This frees \(slots)"), while attempts that run go on."
        guard isMeant(question) else { throw Failure("nothing was done") }
        let count = try await Self.dropHolders(of: key, tenant, in: shard, at: server)
        var object: [String: Any] = ["shard": shard, "holders_dropped": count]
        object["tenant"] = tenant
        object["limit_key"] = key
        let whose = tenant.map { " of tenant \($0)" } ?? ", those of all jobs"
        let which = key.map { " of limit \($0)" } ?? ""
        try output.print(object, ["Freed \(Words.count(count, "slot"))\(which)\(whose); attempts that run go on"])
    }

    private static func dropHolders(
        of key: String?, _ tenant: String?, in shard: String, at server: Server
    ) async throws -> UInt64 {
        guard let key else {
            var request = SiloV1.DropTenantHoldersRequest()
            request.tenant = tenant
            request.shard = shard
            return try await server.call(SiloV1.Silo.dropTenantHolders, request).holdersDropped
        }
        var request = SiloV1.DropLimitHoldersRequest()
        request.tenant = tenant
        request.limitKey = key
        request.shard = shard
        return try await server.call(SiloV1.Silo.dropLimitHolders, request).holdersDropped
    }

    private static func which(_ tenant: String?) -> String { tenant.map { "that tenant \($0) holds" } ?? "of every job" }

    /// Asks whoever sits at the terminal.
    private func isMeant(_ question: String) -> Bool {
        guard !arguments.has("yes") else { return true }
        FileHandle.standardError.write(Data("\(question.printable) Go on? [y/N] ".utf8))
        return ["y", "yes"].contains(readLine()?.lowercased() ?? "")
    }
}
