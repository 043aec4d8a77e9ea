package import SiloCore
import SiloEngine

// What a request names and its caller may not touch is denied, before anything is looked up. What is found only by looking, such
// as the task group of a job, is answered as if it were not there: so nobody learns of others' jobs by asking.

extension Caller {
    /// Whether it may call a method at all.
    package func may(_ method: MethodAccess) -> Bool {
        do throws(SiloError) { try check(method) } catch { return false }
        return true
    }

    /// Whether it may call a method at all.
    func check(_ method: MethodAccess) throws(SiloError) {
        if let role = method.role, !roles.contains(role) {
            throw .denied("\(title) may not do this: it needs the role \(role.rawValue)")
        }
        if method.reach == .all, !isUnbound {
            throw .denied("\(title) may not do this: it is bound to some tenants or task groups")
        }
    }

    func check(_ tenant: Tenant) throws(SiloError) {
        guard let tenants, !tenants.contains(tenant) else { return }
        throw .denied("\(title) may not touch tenant '\(tenant)'")
    }

    /// A task group that a request names.
    func checkGroup(_ name: String) throws(SiloError) {
        guard let groups, !groups.contains(TaskGroup(name)) else { return }
        throw .denied("\(title) may not touch task group '\(name)'")
    }

    /// Of what a request reaches whole: every tenant.
    func checkAllTenants() throws(SiloError) {
        if tenants != nil { throw .denied("\(title) may not do this: it is bound to some tenants") }
    }

    /// The same: every task group.
    func checkAllGroups() throws(SiloError) {
        if groups != nil { throw .denied("\(title) may not do this: it is bound to some task groups") }
    }

    /// Whether it may see what was found in a task group.
    func sees(_ group: String) -> Bool { groups?.contains(TaskGroup(group)) ?? true }

    func sees(_ tenant: Tenant) -> Bool { tenants?.contains(tenant) ?? true }
}

extension Shard {
    /// As `submit`, for what may be of a task group that the caller may not touch.
    func submit<C: Addressed>(
        bounded command: C, for context: RequestContext, completion: @escaping @Sendable (Result<C.Answer, SiloError>) -> Void
    ) {
        guard let groups = context.caller.groups else { return submit(command, for: context, completion: completion) }
        submit(InGroups(command, groups), for: context, completion: completion)
    }

    /// The same of a batch.
    func submit<C: Addressed>(
        bounded commands: [C], for context: RequestContext,
        completion: @escaping @Sendable (Result<[Result<C.Answer, SiloError>], SiloError>) -> Void
    ) {
        guard let groups = context.caller.groups else { return submit(Each(commands), for: context, completion: completion) }
        submit(Each(commands.map { InGroups($0, groups) }), for: context, completion: completion)
    }
}
