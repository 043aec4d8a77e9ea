package import SiloCore
import SiloStore

/// The tenants that memory knows, those with most of something first: all that have anything to do, and as many others as
/// `EngineSettings.idleQueuesMax` lets stay. Reads nothing. One that is there all the while is told once, as it was when it was
/// looked at; one that comes or goes meanwhile may be told or not.
package struct TenantCensus: Walk {
    package enum Order: Sendable {
        case backlog, rate, failures
    }
    package struct Entry: Sendable {
        package let tenant: Tenant
        package internal(set) var jobs = JobCounts()
        /// Jobs that ended in the last minute, and those of them that failed.
        package internal(set) var ended: Int64 = 0
        package internal(set) var failed: Int64 = 0

        package func value(_ order: Order) -> Int64 {
            switch order {
            case .backlog: jobs.ready + jobs.waiting
            case .rate: ended
            case .failures: jobs.failed
            }
        }
    }
    let order: Order
    let nameContains: TextSearch
    let tenants: Set<Tenant>?
    let groups: Set<TaskGroup>?
    private var best: Best<Entry, ExactText>
    private var place: QueueByKey.Place?
    /// The tenant whose queues go by.
    private var entry: Entry?

    /// - Parameters:
    ///   - tenants: those that may be seen; nil: all. The same of task groups.
    package init(
        _ order: Order, nameContains: String = "", after: CensusPlace? = nil, countMax: Int, tenants: Set<Tenant>? = nil,
        groups: Set<TaskGroup>? = nil
    ) {
        self.order = order
        self.nameContains = TextSearch(nameContains)
        best = Best(countMax, after: after.map { ($0.value, ExactText($0.name)) })
        self.tenants = tenants
        self.groups = groups
    }

    package mutating func step(_ view: View, countMax: Int) -> CensusPage<Entry>? {
        var place = place
        let isLast = view.forEachQueue(after: &place, atMost: countMax) { see($0, at: view.moment.steady) }
        self.place = place
        guard isLast else { return nil }
        close()
        return CensusPage(best)
    }

    private mutating func see(_ queue: Queue, at steady: Timestamp) {
        guard queue.total > 0, isMeant(queue) else { return }
        // Queues of one tenant are neighbours.
        if entry?.tenant != queue.id.tenant {
            close()
            entry = Entry(tenant: queue.id.tenant)
        }
        entry?.jobs.add(queue.counts, 1)
        entry?.ended += queue.ended.value(at: steady)
        entry?.failed += queue.failures.value(at: steady)
    }

    private mutating func close() {
        guard let entry else { return }
        best.see(entry.value(order), ExactText(entry.tenant.name), entry)
        self.entry = nil
    }

    private func isMeant(_ queue: Queue) -> Bool {
        (tenants?.contains(queue.id.tenant) ?? true) && (groups?.contains(queue.id.group) ?? true)
            && (nameContains.isEmpty || nameContains.isIn(queue.id.tenant.name))
    }
}
