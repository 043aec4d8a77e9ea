import GRPC
import Protobuf
import SiloAPI
import SiloCore
import Synchronization

/// Checks on the wire that a lease which was renewed in time is never lost: whoever asks for it within a lease of the request
/// that gave it, or of the last heartbeat that was answered, finds it. It knows what callers know, and nothing of servers.
final class LeaseWatch: Sendable {
    private struct State {
        /// Until when each task is held at least.
        var held: [String: Timestamp] = [:]
        /// Their outcomes are on their way: they may be over.
        var reported: Set<String> = []
        var isOff = false
    }
    private let state = Mutex(State())
    private let leaseMilliseconds: Int64
    private let complain: @Sendable (String) -> Void

    init(leaseMilliseconds: Int64, complain: @escaping @Sendable (String) -> Void) {
        self.leaseMilliseconds = leaseMilliseconds
        self.complain = complain
    }

    /// Leases of a tenant may end at any time: it is dropped. Whose a task is, callers do not say: all are forgotten.
    func tenantIsDropped() { state.withLock { $0.isOff = true } }

    func sent(_ path: String, _ request: [UInt8]) {
        let tasks: [String]
        switch path {
        case SiloV1.Silo.reportOutcome.path:
            tasks = (try? SiloV1.ReportOutcomeRequest(serializedBytes: request)).map { [$0.taskId] } ?? []
        case SiloV1.Silo.reportOutcomes.path:
            tasks = (try? SiloV1.ReportOutcomesRequest(serializedBytes: request))?.outcomes.map(\.taskId) ?? []
        case SiloV1.Silo.reportRefreshOutcome.path:
            tasks = (try? SiloV1.ReportRefreshOutcomeRequest(serializedBytes: request)).map { [$0.taskId] } ?? []
        default: return
        }
        state.withLock { state in
            for task in tasks {
                state.held[task] = nil
                state.reported.insert(task)
            }
        }
    }

    /// The caller learns how its call ended.
    func ended(_ path: String, _ request: [UInt8], sentAt: Timestamp, _ result: Result<[UInt8], Status>, at now: Timestamp) {
        if path == SiloV1.Silo.leaseTasks.path, case .success(let bytes) = result,
            let response = try? SiloV1.LeaseTasksResponse(serializedBytes: bytes) {
            for task in response.tasks.map(\.id) + response.refreshTasks.map(\.id) { hold(task, from: sentAt) }
        }
        guard path == SiloV1.Silo.heartbeat.path, let task = (try? SiloV1.HeartbeatRequest(serializedBytes: request))?.taskId
        else {
            return
        }
        switch result {
        case .success: hold(task, from: sentAt)
        case .failure(let status) where status.code == .notFound:
            guard let until = state.withLock({ $0.isOff ? nil : $0.held.removeValue(forKey: task) }), now < until else { return }
            complain("R12: at \(now) the lease of \(task), which was held until \(until) at least, is gone: \(status)")
        case .failure: break
        }
    }

    private func hold(_ task: String, from time: Timestamp) {
        state.withLock { state in
            guard !state.reported.contains(task) else { return }
            state.held[task] = max(state.held[task] ?? time, time + leaseMilliseconds)
        }
    }
}
