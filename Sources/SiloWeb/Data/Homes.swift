import SiloAPI
import SiloCore

/// The shards, and which of them has a tenant.
struct Homes: Sendable {
    let owners: [SiloV1.ShardOwner]

    init(_ visit: Visit) async throws(CallFailure) {
        owners = try await visit.call(SiloV1.Silo.getClusterInfo, .init()).shardOwners
    }

    var all: [String] { owners.map(\.shardId) }

    /// - Parameter tenant: nil without tenancy.
    func shard(of tenant: String?) throws(PageFailure) -> String {
        let hash = Tenant(tenant ?? Tenant.none.name).hash.text
        let owner = owners.first { $0.rangeStart <= hash && ($0.rangeEnd.isEmpty || hash < $0.rangeEnd) }
        guard let owner else { throw PageFailure(503, "Not available now", "No shard has this tenant at this moment.") }
        return owner.shardId
    }
}

extension Visit {
    /// Whether the visitor may ask for a tenant's rows in SQL, which tells of jobs of every task group.
    func mayQuery(_ tenant: String?) -> Bool {
        guard may(SiloV1.Silo.query), caller.groups == nil else { return false }
        guard let own = caller.tenants else { return true }
        return tenant.map { own.contains(Tenant($0)) } ?? false
    }
}

/// What is paused.
struct Pauses: Sendable {
    private var found: [SiloV1.PauseInfo] = []
    /// That could not be asked.
    private(set) var missing = MissingShards()

    /// On one shard.
    init(_ visit: Visit, shard: String) async throws(CallFailure) {
        guard visit.may(SiloV1.Silo.listPauses) else { return }
        var request = SiloV1.ListPausesRequest()
        request.shard = shard
        found = try await visit.call(SiloV1.Silo.listPauses, request).pauses
    }

    /// On all shards that answer.
    init(_ visit: Visit, _ homes: Homes) async throws(CallFailure) {
        for shard in homes.all {
            do throws(CallFailure) { found += try await Pauses(visit, shard: shard).found } catch {
                guard error.kind == .unavailable else { throw error }
                missing.add([shard])
            }
        }
        // What is counted is counted in memory, which one that is only read does not have.
        missing.add(visit.site.history.now.shards.filter { $0.trouble != nil }.map(\.id))
    }

    /// Of a group for all tenants; nil: it is not.
    func group(_ name: String) -> SiloV1.PauseInfo? {
        found.first { ($0.tenant ?? "").isEmpty && $0.names(.taskGroup(name)) }
    }
    func tenant(_ name: String?) -> SiloV1.PauseInfo? {
        found.first { $0.isOf(name) && $0.names(.wholeTenant(true)) }
    }
    func group(_ name: String, of tenant: String?) -> SiloV1.PauseInfo? {
        found.first { $0.isOf(tenant) && $0.names(.taskGroup(name)) }
    }
    func of(_ target: SiloV1.PauseTarget, tenant: String?) -> SiloV1.PauseInfo? {
        found.first { ExactText(($0.tenant ?? "").asTenant) == ExactText(tenant) && $0.names(target.target) }
    }
    func limit(_ key: String, of tenant: String?) -> SiloV1.PauseInfo? {
        found.first { $0.isOf(tenant) && $0.names(.limitKey(key)) }
    }
}

extension SiloV1.PauseInfo {
    fileprivate func isOf(_ tenant: String?) -> Bool { ExactText(self.tenant) == ExactText(tenant) }

    fileprivate func names(_ other: SiloV1.PauseTarget.OneOfTarget?) -> Bool {
        switch (target?.target, other) {
        case (.taskGroup(let one)?, .taskGroup(let two)?), (.limitKey(let one)?, .limitKey(let two)?): one.hasSameBytes(as: two)
        case (let one, let two): one == two
        }
    }

    /// Since when, and why.
    func badge(_ visit: Visit) -> HTML {
        let why: HTML = reason.isEmpty ? .empty : " <span class=\"hint\">\(Name(reason).html)</span>"
        let since = When(Timestamp(sinceMs), now: visit.now).html
        return "<span class=\"badge warn\">paused</span> <span class=\"hint\">\(since)</span>\(why)"
    }
}

extension String {
    /// As calls take it: nil without tenancy.
    var asTenant: String? { isEmpty || self == Tenant.none.name ? nil : self }
}
