import SiloAPI

/// What operators do to a whole tenant, or to those that hold one of its limits.
enum TenantActions {
    static let dropHolders = Action("/do/drop-holders", needs: SiloV1.Silo.dropTenantHolders) { visit, form in
        let name = try form.required("tenant")
        if form.has("limit") { return try await askToDrop(try form.required("limit"), name, visit) }
        let sql = "SELECT SUM(holders) AS n FROM queue_counts WHERE tenant = $1"
        let now = try await count(sql, [name], name, visit).map { slots -> HTML in
            " Now they hold <b>\(Quantity.of(slots, "slot"))</b>."
        }
        return Action.Confirmation(
            title: "Free every slot of this tenant?",
            text: """
                Every slot of every limit that \(jobs(of: name)) hold becomes free at once, and as many others may \
                start.\(now) Attempts that run are not stopped: for a while more may run than the limits allow. This is for \
                slots whose holders are gone for good.
                """,
            button: "Free its slots", isFinal: true)
    } perform: { visit, form in
        let name = try form.required("tenant")
        if form.has("limit") { return try await dropHolders(of: try form.required("limit"), name, visit) }
        var request = SiloV1.DropTenantHoldersRequest()
        request.shard = try await Homes(visit).shard(of: name.asTenant)
        request.tenant = name.asTenant
        let count = try await visit.call(SiloV1.Silo.dropTenantHolders, request).holdersDropped
        return Action.Outcome(notice: Notice(.done, "\(Quantity.of(count, "slot")) of \(title(name)) became free."))
    }

    private static func dropHolders(of key: String, _ name: String, _ visit: Visit) async throws -> Action.Outcome {
        var request = SiloV1.DropLimitHoldersRequest()
        request.shard = try await Homes(visit).shard(of: name.asTenant)
        request.tenant = name.asTenant
        request.limitKey = key
        let count = try await visit.call(SiloV1.Silo.dropLimitHolders, request).holdersDropped
        let whose: HTML = "limit \(Name(key).html) of \(title(name))"
        return Action.Outcome(notice: Notice(.done, "\(Quantity.of(count, "slot")) of \(whose) became free."))
    }

    private static func askToDrop(_ key: String, _ name: String, _ visit: Visit) async throws -> Action.Confirmation {
        let sql = "SELECT SUM(holders) AS n FROM queue_counts WHERE tenant = $1 AND queue_name = $2"
        let now = try await count(sql, [name, key], name, visit).map { slots -> HTML in
            " Now they hold <b>\(Quantity.of(slots, "slot"))</b> of it."
        }
        return Action.Confirmation(
            title: "Free every slot of this limit?",
            text: """
                Every slot of limit \(Name(key).html) that \(jobs(of: name)) hold becomes free at once, and as many others \
                may start.\(now) Attempts that run are not stopped: for a while more may run than the limit allows. Jobs that \
                are ready and have no worker need a slot again. This is for slots whose holders are gone for good.
                """,
            button: "Free its slots", isFinal: true)
    }

    static let dropTenant = Action("/do/drop-tenant", needs: SiloV1.Silo.dropTenant) { visit, form in
        let name = try form.required("tenant")
        let sql = "SELECT COUNT(*) AS n FROM jobs WHERE tenant = $1"
        let now = try await count(sql, [name], name, visit).map { jobs -> HTML in
            " Now it has <b>\(Quantity.of(jobs, "job"))</b>."
        }
        return Action.Confirmation(
            title: "Delete this tenant?",
            text: """
                Every job of \(title(name)) is deleted, with its attempts, results and limits: what waits, what runs, and what \
                has finished.\(now) Until it is done its calls are refused.
                """,
            button: "Delete it all", isFinal: true,
            controls: """
                <label class="stack"><span>Type the tenant's name to go on</span>\
                <input name="confirm" maxlength="64" autocomplete="off" spellcheck="false" required></label>
                """)
    } perform: { visit, form in
        let name = try form.required("tenant")
        guard form["confirm"] == name else {
            throw PageFailure(
                400, "The names differ", "Nothing was done: what was typed is not the name of the tenant.",
                way: ("Go back", .tenant(name)))
        }
        var request = SiloV1.DropTenantRequest()
        request.shard = try await Homes(visit).shard(of: name.asTenant)
        request.tenant = name.asTenant
        let drop = try await visit.call(SiloV1.Silo.dropTenant, request).drop
        let jobs = Quantity.of(drop?.jobs ?? 0, "job")
        return Action.Outcome(
            notice: Notice(.done, "\(title(name)) is being deleted, with \(jobs). It is done step by step."),
            next: Link("/tenants"))
    }

    static let all = [dropHolders, dropTenant]

    /// What a statement counts of a tenant's; nil: the visitor may not ask.
    private static func count(_ sql: String, _ values: [String], _ name: String, _ visit: Visit) async throws -> Int64? {
        guard visit.mayQuery(name.asTenant) else { return nil }
        let shard = try await Homes(visit).shard(of: name.asTenant)
        let rows = try await visit.rows(sql, values.map { .stringValue($0) }, shard: shard, tenant: name.asTenant)
        return rows.first?.int("n") ?? 0
    }

    private static func jobs(of name: String) -> HTML { name.asTenant == nil ? "jobs" : "jobs of \(title(name))" }

    private static func title(_ name: String) -> HTML {
        name.asTenant == nil ? "all jobs" : "tenant \(Name(name).html)"
    }
}
