package import SiloCore
package import SiloStore

/// A command about what is in the shard already, which the request names by an id that does not tell its task group.
package protocol Addressed: Command {
    /// The group of what it is about; nil: there is nothing of that id.
    func group(_ view: View) async throws(Refusal) -> TaskGroup?

    /// What its check finds where it must not touch what there is: as if that were not there.
    func checkHidden() throws(Refusal) -> Found
}

/// A command of a caller that may touch some task groups alone: what is of others is not there.
package struct InGroups<C: Addressed>: Command {
    private let command: C
    private let groups: Set<TaskGroup>

    package init(_ command: C, _ groups: Set<TaskGroup>) {
        self.command = command
        self.groups = groups
    }

    package static var lane: Lane { C.lane }
    package var jobCount: Int { command.jobCount }
    package var contentBytes: Int { command.contentBytes }

    package func check(_ view: View) async throws(Refusal) -> C.Found {
        if let group = try await command.group(view), !groups.contains(group) { return try command.checkHidden() }
        return try await command.check(view)
    }

    package func run(_ found: C.Found, in transaction: Transaction) async throws(StoreError) -> C.Answer {
        try await command.run(found, in: transaction)
    }
}

/// A command about one stored job.
package protocol JobAddressed: Addressed {
    var tenant: Tenant { get }
    var id: JobID { get }
}

extension JobAddressed {
    package func group(_ view: View) async throws(Refusal) -> TaskGroup? {
        do throws(Refusal) {
            return TaskGroup(try await view.find(tenant, id).stored.job.taskGroup)
        } catch .refused(.jobNotFound) {
            return nil
        }
    }

    package func checkHidden() throws(Refusal) -> Found { throw .refused(.jobNotFound) }
}

/// A command about a task that a worker has.
package protocol TaskAddressed: Addressed {
    var tenant: Tenant { get }
    var task: TaskID { get }
}

extension TaskAddressed {
    package func group(_ view: View) async throws(Refusal) -> TaskGroup? {
        view.lease(task, of: tenant)?.queue.id.group ?? view.refresh(task, of: tenant)?.group
    }

    package func checkHidden() throws(Refusal) -> Found { throw .refused(.leaseNotFound) }
}

extension Cancel: JobAddressed {}
extension Restart: JobAddressed {}
extension Expedite: JobAddressed {}
extension Delete: JobAddressed {
    /// What is not there is erased already.
    package func checkHidden() throws(Refusal) -> Finished? { nil }
}
extension LeaseJob: JobAddressed {}
extension Import: JobAddressed {
    /// Its own group is its caller's: all that it may not know is what else the id belongs to.
    package func checkHidden() throws(Refusal) -> Found { throw .refused(.jobAlreadyExists(id)) }
}

extension Heartbeat: TaskAddressed {}
extension ReportOutcome: TaskAddressed {}
extension ReportRefresh: TaskAddressed {}
