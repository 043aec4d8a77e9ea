package import SiloAPI
package import SiloCore
import SiloEngine
import SiloQuery

extension ListOperations {
    private static let slotsMax = 1000
    /// Queues of a shard that are looked at, the soonest ones.
    private static let queuesMax = 500

    /// Which jobs start when, of one view of each shard. What a caller that is bound may not see is left out.
    package func getSchedule(
        _ request: SiloV1.GetScheduleRequest, _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.GetScheduleResponse {
        let slots = request.slots == 0 ? 60 : Int(request.slots)
        let slot = request.slotMs == 0 ? 60_000 : request.slotMs
        guard slots <= Self.slotsMax else { throw .outOfBounds(field: "slots", bound: "must be at most \(Self.slotsMax)") }
        guard (1...Bounds.limitMillisecondsMax).contains(slot) else {
            throw .outOfBounds(field: "slot_ms", bound: "must be between 1 and \(Bounds.limitMillisecondsMax)")
        }
        try checkJobsMax(request.jobsMax)
        let tenants = try tenants(request.tenant, context.caller)
        let groups = try groups(request.taskGroup, context.caller)
        var views = try await views(request.shard, of: tenants, context)
        let (now, jobsMax) = (environment.clock.now, jobsMax(request.jobsMax))
        var response = try await read(&views, context) { (shown: [ListedShard]) async throws(SiloError) in
            let schedule = JobSchedule(
                of: shown, from: now, slotMilliseconds: slot, slots: slots, jobsMax: jobsMax, clock: environment.clock)
            return try await answer(schedule, of: shown, tenants, groups, context)
        }
        response.fromMs = now.milliseconds
        response.missingShards = views.missing.map(\.description) + response.missingShards
        return response
    }

    /// - Parameter queried: the shards of the schedule.
    private func answer(
        _ schedule: JobSchedule, of queried: [ListedShard], _ tenants: [Tenant]?, _ groups: Set<TaskGroup>?,
        _ context: RequestContext
    ) async throws(SiloError) -> SiloV1.GetScheduleResponse {
        var response = SiloV1.GetScheduleResponse()
        var queues: [JobSchedule.Queue] = []
        var wholeUntil: Timestamp?
        if let tenants {
            for tenant in tenants {
                for number in queried.indices where queried[number].range.contains(tenant.hash) {
                    do {
                        let found = try await schedule.queues(of: tenant, number, groups: groups)
                        queues += found.queues
                        response.scheduled += found.scheduled
                    } catch {
                        throw SiloError(reading: error)
                    }
                }
            }
        } else {
            // One that is only read does not know what is next.
            let served = await shards.answers(of: queried.compactMap { shards[$0.id] }, for: context) { [shards]
                host async throws(SiloError) in
                let shard = try shards.serving(host.id.description).shard
                return (host.id, shard, try await shard.run(NextTimers(groups: groups, queuesMax: Self.queuesMax), for: context))
            }
            if served.answers.isEmpty, let (_, why) = served.missing.first { throw why }
            response.missingShards = served.missing.map(\.shard.description)
            for (id, shard, next) in served.answers {
                guard let number = queried.firstIndex(where: { $0.id == id }) else { continue }
                queues += next.queues.map {
                    .init(shard: number, tenant: $0.tenant, group: $0.group, isDelay: $0.isDelay, order: $0.due.sortable)
                }
                if let until = next.wholeUntil { wholeUntil = min(wholeUntil ?? until, until) }
                for (group, level) in shard.groups where groups?.contains(group) ?? true {
                    response.scheduled += UInt64(max(0, level.jobs.scheduled))
                }
            }
        }
        do {
            let answer = try await schedule.answer(queues)
            if let until = answer.wholeUntil { wholeUntil = min(wholeUntil ?? until, until) }
            response.slots = answer.slots
            // Of a queue that was not looked at one may come between them.
            response.jobs = answer.jobs.filter { job in wholeUntil.map { job.nextStart ?? 0 <= $0.milliseconds } ?? true }
                .map { SiloV1.ListedJob($0, tenancy) }
            response.unreadable = answer.unreadable.map { SiloV1.ListedJob($0, tenancy) }
        } catch {
            throw SiloError(reading: error)
        }
        response.countedUntilMs = wholeUntil?.milliseconds ?? .max
        return response
    }
}
