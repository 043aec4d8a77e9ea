import Protobuf
package import SiloCore
package import SiloStore

/// The lines that wait at a limit, as memory has them, for whoever reads who stands in them.
package struct LinesAtLimit: Sendable {
    private let tenant: Tenant
    /// The lowest head first.
    private let lines: [(id: LineID, head: Position)]
    /// Lines that are left out may have jobs behind this one; nil: all are there.
    private let end: Position?

    /// Of more, those whose first jobs come first.
    private static let linesMax = 4096

    init(_ limit: Limit) {
        tenant = limit.id.tenant
        lines = limit.lines.lowest(Self.linesMax).map { (id: $0.id.line, head: $0.head) }
        end = lines.count < limit.lines.count ? lines.last?.head ?? Position(from: 0) : nil
    }

    /// Of the first job alone. Nil: nobody waits.
    init?(firstOf limit: Limit) {
        guard let line = limit.lines.first(of: limit, hasRoom: { _ in true }) else { return nil }
        tenant = limit.id.tenant
        lines = [(id: line.id.line, head: line.head)]
        end = nil
    }

    package struct Job: Sendable {
        package let id: JobID
        package let group: TaskGroup
        package let priority: UInt32
        /// When it might have started.
        package let since: Timestamp
    }

    /// The jobs that are looked at first, in order.
    /// - Parameter reader: a view of the shard.
    package func first(_ countMax: Int, _ reader: any StoreReader) async throws(StoreError) -> [Job] {
        let keys = TenantKeys(tenant)
        var found: [(position: Position, job: Job)] = []
        for line in lines {
            // Whoever stands in this line and those behind it comes later.
            if found.count == countMax, let last = found.last, last.position < line.head { break }
            let range = keys.waiting(line.id, from: line.head)
            for row in try await reader.scan(from: range.start, to: range.end, limit: countMax) {
                guard let (_, position) = keys.parseWaiting(row.key),
                    end.map({ position <= $0 }) ?? true, let task = try? StorageV1.Task(serializedBytes: row.value)
                else { continue }
                let job = Job(
                    id: position.job, group: task.jobGroup, priority: task.priority, since: Timestamp(task.startMs))
                found.append((position, job))
            }
            found.sort { $0.position < $1.position }
            found.removeLast(max(0, found.count - countMax))
        }
        return found.map(\.job)
    }
}
