import SiloCore

/// Slots that are kept for jobs that need several. Such a job would wait for ever while others take each slot as it comes free.
/// So, when it has been passed over for long, a free slot of each of its limits is kept for its line: for one line of a tenant at
/// a time, so that no two wait for what the other keeps.
struct KeptSlots {
    private var kept: [Tenant: (line: Line, limits: [SlotLimit])] = [:]

    /// The line could not use a slot that came free, because its jobs need another besides.
    /// - Parameter patience: milliseconds for which it may be passed over.
    /// - Returns: whether slots are kept for it from now on.
    mutating func passedOver(_ line: Line, _ demands: [Demand], patience: Int64, at now: Timestamp) -> Bool {
        let since = line.passedOverSince ?? now
        line.passedOverSince = since
        guard now - since >= patience, kept[line.id.tenant] == nil else { return false }
        let limits = demands.compactMap { if case .slot(let limit, _) = $0 { limit } else { nil } }
        for limit in limits { limit.keptFor = line }
        kept[line.id.tenant] = (line, limits)
        return true
    }

    /// The line got what it needs, or nobody waits in it any more.
    /// - Returns: the limits that kept a slot for it.
    mutating func stop(for line: Line) -> [SlotLimit] {
        line.passedOverSince = nil
        guard let (other, limits) = kept[line.id.tenant], other === line else { return [] }
        kept[line.id.tenant] = nil
        for limit in limits { limit.keptFor = nil }
        return limits
    }
}
