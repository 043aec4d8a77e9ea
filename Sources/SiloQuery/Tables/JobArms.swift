import SiloCore
import SiloStore

/// A range of rows that jobs are found by.
enum JobArm: Sendable {
    /// Jobs, with their statuses and leases beside them where they are needed.
    case records((start: Bytes, end: Bytes))
    case points(Tenant, ArraySlice<String>)
    case metadata(Tenant, (start: Bytes, end: Bytes))
    case leases((start: Bytes, end: Bytes))
    /// Ready jobs, and those that wait at a limit.
    case ready((start: Bytes, end: Bytes))
    case lines((start: Bytes, end: Bytes))
    /// Timers, by the clock that says when they are due; all whose status is among `statuses`.
    case timers((start: Bytes, end: Bytes), isSteady: Bool, Set<ShownStatus>)
    /// Of all finished jobs those of the statuses.
    case finished((start: Bytes, end: Bytes), Set<ShownStatus>)
    /// Failed jobs of all tenants of a slice.
    case failures((start: Bytes, end: Bytes))
}

extension JobScan {
    /// What is to be read of a part of a shard, in order.
    func arms(of part: Part, at moment: Moment, _ reader: CountedReader) async throws(StoreError) -> [JobArm] {
        switch way {
        case .nothing: return []
        case .ids(let ids): return try await part.tenants(reader).map { .points($0, ids[...]) }
        case .metadata(let key, let value, let isPrefix):
            return try await part.tenants(reader).map {
                .metadata($0, TenantKeys($0).metadata(key, value: value, isPrefix: isPrefix))
            }
        case .statuses(let statuses): return try await arms(of: part, statuses, at: moment, reader)
        case .everything:
            if case .tenant(let tenant) = part, !ids.isAll { return [.records(ids.range(TenantKeys(tenant)))] }
            guard !needs.contains(.record), !isOrderedByID, needs.contains(.status) else {
                return [.records(part.range(.job))]
            }
            return [
                .finished(part.range(.finished), Set(ShownStatus.allCases)), .leases(part.range(.lease)),
                .ready(part.range(.ready)),
                .lines(part.range(.waiting)), .timers(part.range(.date), isSteady: false, [.waiting, .scheduled]),
                .timers(part.range(.delay), isSteady: true, [.waiting, .scheduled]),
            ]
        }
    }

    /// Ranges in which some job has one of the statuses, by the order of these. Where a range needs the names of task groups or
    /// tenants, the directory has them, and says which stand empty.
    private func arms(
        of part: Part, _ statuses: [ShownStatus], at moment: Moment, _ reader: CountedReader
    ) async throws(StoreError) -> [JobArm] {
        let needsDirectory = statuses.contains { status in
            if case .slice = part { return status != .running && status != .failed }
            return status.stored == nil && status != .running
        }
        // Who finished is not told by group.
        let areAllPending = statuses.allSatisfy { $0.stored == nil }
        let directory = needsDirectory ? try await part.directory(reader, groups: areAllPending ? groups : nil) : []
        let pending = directory.filter { groups?.contains($0.group) ?? true }
        return statuses.flatMap { status -> [JobArm] in
            switch status {
            case .running: return [.leases(part.range(.lease))]
            case .waiting: return ready(pending) + lines(pending, part) + timers(pending, status, at: moment)
            case .scheduled: return timers(pending, status, at: moment)
            case .succeeded, .failed, .cancelled: return finished(directory, part, status)
            }
        }
    }

    private func ready(_ directory: [DirectoryRow]) -> [JobArm] {
        directory.filter { $0.counts.ready > 0 }.map { row in
            .ready(TenantKeys(row.tenant).ready(row.group, from: Position(from: row.counts.readyFrom)))
        }
    }

    private func lines(_ directory: [DirectoryRow], _ part: Part) -> [JobArm] {
        directory.contains { $0.counts.waiting > 0 } ? [.lines(part.range(.waiting))] : []
    }

    private func finished(_ directory: [DirectoryRow], _ part: Part, _ status: ShownStatus) -> [JobArm] {
        guard let state = status.stored.map({ UInt8(clamping: $0.rawValue) }), !changed.isEmpty else { return [] }
        let (first, last) = (Timestamp(changed.low ?? .min), Timestamp(changed.high ?? .max))
        func arm(_ tenant: Tenant) -> JobArm {
            .finished(TenantKeys(tenant).finished(state, from: first, through: last), [status])
        }
        switch part {
        case .tenant(let tenant): return [arm(tenant)]
        case .slice(let slice) where status == .failed: return [.failures(slice.failures(from: first, through: last))]
        case .slice: return Set(directory.filter { $0.count(status) > 0 }.map(\.tenant)).sorted().map(arm)
        }
    }

    /// Timers that are due, or those that are not.
    private func timers(_ directory: [DirectoryRow], _ status: ShownStatus, at moment: Moment) -> [JobArm] {
        directory.flatMap { row in
            let keys = TenantKeys(row.tenant)
            return [false, true].compactMap { isSteady -> JobArm? in
                guard (isSteady ? row.counts.delays : row.counts.dates) > 0 else { return nil }
                let first = isSteady ? row.counts.delaysFrom : row.counts.datesFrom
                let later = (isSteady ? moment.steady : moment.wall).sortable + 1
                func range(_ order: UInt64) -> (start: Bytes, end: Bytes) {
                    let position = Position(from: order)
                    return isSteady ? keys.delays(row.group, from: position) : keys.dates(row.group, from: position)
                }
                guard status == .waiting else { return .timers(range(max(first, later)), isSteady: isSteady, [status]) }
                return first < later ? .timers((range(first).start, range(later).start), isSteady: isSteady, [status]) : nil
            }
        }
    }
}
