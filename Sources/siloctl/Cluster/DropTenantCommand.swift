import CommandLineTool
import Foundation
import SiloAPI
import SiloCore

/// `tenant drop`: asks, begins, and shows how far it has come until it is done.
struct DropTenantCommand {
    let arguments: Arguments
    let output: Output
    private var name: String { arguments.operands[0] }
    /// Nil: that of servers with tenancy off.
    private var tenant: String? { name == "-" ? nil : name }

    private static let interval = Duration.milliseconds(500)

    func run() async throws {
        let (owner, shard) = try await Server(arguments).owner(of: nil, orOf: tenant)
        var drop = try await firstProgress(owner, shard)
        if drop == nil {
            try confirm()
            guard try await isThere(owner, shard) else { throw Failure("there is no tenant \(name): nothing was deleted") }
            var request = SiloV1.DropTenantRequest()
            request.shard = shard
            request.tenant = tenant
            drop = try await owner.call(SiloV1.Silo.dropTenant, request).drop
        }
        var last = drop ?? SiloV1.TenantDrop()
        while let now = drop {
            last = now
            show("\(now.percent) %, \(Words.count(now.rowsDeleted, "row")) deleted")
            try await Task.sleep(for: Self.interval)
            drop = try await progress(owner, shard)
        }
        show("done", isLast: true)
        try output.print(
            ["tenant": name, "shard": shard, "status": "dropped", "jobs": last.jobs],
            ["Tenant \(name) is dropped, with \(Words.count(last.jobs, "job"))"], isShort: true)
    }

    /// Nil: it is not being dropped.
    private func progress(_ owner: Server, _ shard: String) async throws -> SiloV1.TenantDrop? {
        var request = SiloV1.GetTenantDropRequest()
        request.shard = shard
        request.tenant = tenant
        return try await owner.call(SiloV1.Silo.getTenantDrop, request).drop
    }

    /// Whoever may not drop is told what that needs, and not what looking needs.
    private func firstProgress(_ owner: Server, _ shard: String) async throws -> SiloV1.TenantDrop? {
        do { return try await progress(owner, shard) } catch let failure as Failure {
            throw Failure(failure.description.replacing("it needs the role operate", with: "it needs the role admin"))
        }
    }

    /// Whether anything of the tenant is stored: jobs, or limits and pauses without any.
    private func isThere(_ owner: Server, _ shard: String) async throws -> Bool {
        var statement = SiloV1.QueryRequest()
        statement.shard = shard
        let parameter = try SiloV1.QueryParameter(typed: "text:\(tenant ?? Tenant.none.name)")
        for table in ["tenant_counts", "limits"] {
            statement.sql = "SELECT 1 FROM \(table) WHERE tenant = $1 LIMIT 1"
            statement.parameters = [parameter]
            if try await !owner.call(SiloV1.Silo.query, statement).rows.isEmpty { return true }
        }
        var request = SiloV1.ListPausesRequest()
        request.shard = shard
        let pauses = try await owner.call(SiloV1.Silo.listPauses, request).pauses
        return pauses.contains { ExactText($0.tenant) == ExactText(tenant) && !$0.isForAllTenants }
    }

    private func confirm() throws {
        guard !arguments.has("yes") else { return }
        guard isatty(STDIN_FILENO) == 1 else {
            throw Arguments.Mistake("this deletes everything of tenant \(name) for ever: say so with --yes")
        }
        FileHandle.standardError.write(
            Data("Everything of tenant \(name) will be deleted, for ever. Write its name to go on: ".printable.utf8))
        guard readLine() == name else { throw Failure("nothing was deleted") }
    }

    /// One line that is written again and again, for people only.
    private func show(_ text: String, isLast: Bool = false) {
        guard !output.isJSON, isatty(STDERR_FILENO) == 1 else { return }
        FileHandle.standardError.write(Data("\r\u{1b}[KDropping tenant \(name.printable): \(text)\(isLast ? "\n" : "")".utf8))
    }
}
