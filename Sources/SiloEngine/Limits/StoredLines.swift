import Protobuf
import SiloCore
import SiloStore

/// The lines that were stored when the shard was opened: there may be many, so they are read some at a time.
struct StoredLines: Part {
    let transaction: Transaction

    /// Lines entered, and slices looked at, in one go.
    private static let countMax = 512
    private static let slicesMax = 16

    /// Reads some more of them, and finds out where each waits.
    func readSome() async throws(StoreError) {
        var left = Self.countMax
        for _ in 0..<Self.slicesMax where left > 0 {
            guard let start = memory.limits.unreadLines, let slice = Slice(of: start) else { return }
            let (found, next) = try await rows.scan(from: start, to: slice.lines.end, limit: left, merging: false)
            if !found.isEmpty { reached(.linesReadAfterOpening) }
            guard try await enter(found, &left) else { return }
            memory.limits.unreadLines = next ?? memory.slices.set.slices.first { $0 > slice }?.lines.start
        }
    }

    /// False when there was no time for all of them: where to go on is noted.
    private func enter(_ rows: [Row], _ left: inout Int) async throws(StoreError) -> Bool {
        for row in rows {
            left -= 1
            guard case .line(let tenant, let id)? = ShardKeys.parse(row.key),
                let record = try? StorageV1.Line(serializedBytes: row.value)
            else {
                transaction.setAside(row)
                continue
            }
            guard memory.drops[tenant] == nil else { continue }
            let lineID = Line.ID(tenant: tenant, line: id)
            if let line = memory.limits.line(lineID), line.blockedAt != nil { continue }
            let line = memory.limits.line(lineID) ?? Line(lineID, record, isStored: true)
            memory.limits.add(line)
            guard try await enter(line, &left) else {
                memory.limits.unreadLines = row.key
                return false
            }
        }
        return true
    }

    /// Puts a line that was just read at the first of its limits, where it is looked at next and moves on if need be. False when
    /// there was no time for all of it.
    private func enter(_ line: Line, _ left: inout Int) async throws(StoreError) -> Bool {
        let demands = try await limits.demands(of: line.limits, line.id.tenant)
        guard let first = demands.first else { return try await dissolve(line, &left) }
        switch limits.verdict(demands, in: line) {
        case .free:
            memory.limits.park(line, at: first)
            memory.limits.markFreed(first.limit)
        case .blocked(let demand, let dueAt):
            memory.limits.park(line, at: demand)
            guard case .hits(let limit, let rate) = demand else { break }
            // Jobs that ask only so often do not wait for a bucket: they are put off when they are looked at.
            if rate.maxRetries > 0 {
                memory.limits.markFreed(limit)
            } else {
                limits.lookAgain(at: limit, dueAt ?? .delay(until: steady))
            }
        }
        return true
    }

    /// Admits the jobs of a line whose limits are not asked for any more, because an external limiter is asked instead.
    private func dissolve(_ line: Line, _ left: inout Int) async throws(StoreError) -> Bool {
        while line.waiting > 0 {
            guard left > 0 else { return false }
            left -= 1
            guard let head = try await lines.head(of: line) else { return true }
            let queue = try await transaction.queue(line.id.tenant, head.record.jobGroup)
            lines.takeFirst(of: line, head, queue)
            try await admission.admitDue(JobReference(id: head.position.job, queue: queue), head.record)
        }
        return true
    }
}
