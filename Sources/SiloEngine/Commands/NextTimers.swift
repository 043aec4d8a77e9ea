package import SiloCore

/// The queues whose jobs start first among those that wait for their time. Costs as much as it looks at, however many wait.
package struct NextTimers: Query {
    /// Of which task groups; nil: of all.
    package let groups: Set<TaskGroup>?
    package let queuesMax: Int
    /// Queues that are looked at for each clock.
    private static let looksMax = 20_000

    package init(groups: Set<TaskGroup>?, queuesMax: Int) {
        self.groups = groups
        self.queuesMax = queuesMax
    }

    package struct Entry: Sendable {
        package let tenant: Tenant
        package let group: TaskGroup
        /// Its time is a length that has to pass, not a date.
        package let isDelay: Bool
        /// None is due earlier, by its own clock.
        package let due: Timestamp
    }

    package struct Answer: Sendable {
        package var queues: [Entry] = []
        /// What starts earlier is of these queues, in wall time; nil: they are all there are.
        package var wholeUntil: Timestamp?
    }

    package func check(_ view: View) async throws(Refusal) -> Answer {
        var answer = Answer()
        for axis in Axis.allCases {
            var (looks, found) = (0, 0)
            view.forEachTimer(axis) { queue, due in
                if looks >= Self.looksMax || found >= queuesMax {
                    let date = axis == .wall ? due : view.moment.date(of: due)
                    answer.wholeUntil = min(answer.wholeUntil ?? date, date)
                    return false
                }
                looks += 1
                guard groups?.contains(queue.group) ?? true else { return true }
                found += 1
                answer.queues.append(Entry(tenant: queue.tenant, group: queue.group, isDelay: axis == .steady, due: due))
                return true
            }
        }
        return answer
    }
}
