import Protobuf
import SiloCore
import SiloStore

/// Tenants that are dropped.
extension RunningAudit {
    func checkNothingComes(_ key: JobKey, _ rows: JobRows, _ before: JobRows) {
        guard droppedBefore.contains(key.tenant) else { return }
        if before.job == nil, rows.job != nil { found.append("job \(key): came while its tenant was dropped") }
        if before.lease == nil, rows.lease != nil { found.append("job \(key): was leased while its tenant was dropped") }
    }

    func checkGone(_ tenant: Bytes) {
        func complain(_ text: String) { found.append("tenant \(self.name(tenant)) was dropped, and \(text)") }
        let left = jobs.filter { $0.key.tenant == tenant && !$0.value.isEmpty }
        if !left.isEmpty { complain("\(left.count) of its jobs have rows, such as \(left.keys.first?.description ?? "")") }
        if directory.keys.contains(where: { $0.tenant == tenant }) { complain("queues are left") }
        if lines.keys.contains(where: { $0.tenant == tenant }) { complain("lines are left") }
        if slots.keys.contains(where: { $0.tenant == tenant }) { complain("slots are left") }
        if buckets.keys.contains(where: { $0.tenant == tenant }) { complain("buckets are left") }
        if pausedLimits.contains(where: { $0.tenant == tenant }) { complain("pauses are left") }
        if periods.contains(where: { $0.tenant == tenant }) { complain("periods are left") }
    }

    func name(_ tenant: Bytes) -> String { text(tenant) }
}
