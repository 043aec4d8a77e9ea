/// Where each thing is shown. Pages link to one another by these.
extension Link {
    /// - Parameter tenant: nil without tenancy.
    static func job(_ id: String, tenant: String?) -> Link { Link("/job", [("id", id), ("tenant", tenant)]) }
    static func tenant(_ name: String) -> Link { Link("/tenant", [("name", name)]) }
    static func group(_ name: String) -> Link { Link("/group", [("name", name)]) }
    static func limit(_ key: String, tenant: String?) -> Link { Link("/limit", [("key", key), ("tenant", tenant)]) }
    static func worker(_ id: String) -> Link { Link("/worker", [("id", id)]) }
    static func jobs(group: String? = nil, tenant: String? = nil) -> Link {
        Link("/jobs", [("group", group), ("tenant", tenant)])
    }
    static func shard(_ id: String) -> Link { Link("/shards/" + id) }
}
