import CommandLineTool
import SiloAPI
import SiloCore

/// `workers`, `worker quiet` and `worker resume`: of every server that serves a shard.
struct WorkerCommands {
    let arguments: Arguments
    let output: Output

    func list() async throws {
        var workers: [ExactText: SiloV1.WorkerInfo] = [:]
        let group = arguments.text("group", default: "")
        try await onEachServer { server in
            var request = SiloV1.ListWorkersRequest()
            request.taskGroup = group
            request.limit = 500
            while true {
                let page = try await server.call(SiloV1.Silo.listWorkers, request)
                for worker in page.workers {
                    let id = ExactText(worker.workerId)
                    workers[id] = workers[id]?.joined(worker) ?? worker
                }
                guard !page.isLast, let last = page.workers.last else { return }
                request.after = last.workerId
            }
        }
        let sorted = workers.values.sorted { $0.workerId < $1.workerId }
        let now = output.times.now
        let rows = sorted.map { worker -> [Line] in
            [
                "\(worker.workerId)", worker.isQuiet ? Line("quiet", .bad) : "-",
                "\(worker.groups.map(\.taskGroup).joined(separator: ", "))", "\(worker.host.isEmpty ? "-" : worker.host)",
                "\(worker.version.isEmpty ? "-" : worker.version)", "\(worker.leases)",
                worker.oldestLeaseMs.map { "\(Words.distance($0, from: now))" } ?? "-",
                worker.lastHeardMs > 0 ? "\(Words.distance(worker.lastHeardMs, from: now))" : "-",
            ]
        }
        let titles = ["Worker", "State", "Groups", "Host", "Version", "Holds", "Oldest", "Heard"]
        try output.print(
            ["workers": sorted.map(\.object)],
            sorted.isEmpty ? ["No worker has asked for work lately"] : Table.lines(titles, rows, onTheRight: [5]))
    }

    /// - Parameter isQuiet: false: it is given work again.
    func set(isQuiet: Bool) async throws {
        let id = arguments.operands[0]
        var (wasQuiet, isKnown, leases): (Bool, Bool, UInt64) = (false, false, 0)
        try await onEachServer { server in
            var request = SiloV1.QuietWorkerRequest()
            request.workerId = id
            request.resume = !isQuiet
            let answer = try await server.call(SiloV1.Silo.quietWorker, request)
            wasQuiet = wasQuiet || answer.wasQuiet
            isKnown = isKnown || answer.isKnown ?? true
            leases += answer.leases
        }
        guard isKnown || isQuiet || wasQuiet else {
            throw Failure("no worker \(id) has asked for work lately, and none is quiet; siloctl workers lists them")
        }
        let holds = "it still holds \(Words.count(leases, "job"))"
        let now = wasQuiet ? "was quiet already" : "gets nothing new"
        let text: Line =
            switch (isQuiet, isKnown) {
            // Workers may be made quiet before they come.
            case (true, false): "Worker \(id) \(now), should it come within the hour: none of that id has asked for work lately"
            case (true, true): "Worker \(id) \(now); \(holds)"
            case (false, _): "Worker \(id) \(wasQuiet ? "is given work again" : "was not quiet")"
            }
        try output.print(
            ["worker_id": id, "quiet": isQuiet, "was_quiet": wasQuiet, "known": isKnown, "leases": leases], [text])
    }

    private func onEachServer(_ ask: (Server) async throws -> Void) async throws {
        let server = try Server(arguments)
        defer { server.close() }
        let info = try await server.clusterInfo()
        var asked: Set<String> = []
        for owner in info.shardOwners where !owner.grpcAddr.isEmpty && asked.insert(owner.grpcAddr).inserted {
            try await ask(try server.owner(of: owner.shardId, info))
        }
    }
}

extension SiloV1.WorkerInfo {
    /// The same worker as two servers know it.
    func joined(_ other: Self) -> Self {
        var joined = other.lastHeardMs > lastHeardMs ? other : self
        joined.isQuiet = isQuiet || other.isQuiet
        joined.leases = leases + other.leases
        joined.oldestLeaseMs = [oldestLeaseMs, other.oldestLeaseMs].compactMap { $0 }.min()
        let known = Set(joined.groups.map { ExactText($0.taskGroup) })
        joined.groups += (groups + other.groups).filter { !known.contains(ExactText($0.taskGroup)) }
        return joined
    }

    fileprivate var object: [String: Any] {
        var object: [String: Any] = [
            "worker_id": workerId, "host": host, "version": version, "peer": peer, "quiet": isQuiet, "leases": leases,
            "task_groups": groups.map(\.taskGroup), "last_heard_ms": lastHeardMs, "first_heard_ms": firstHeardMs,
        ]
        object["oldest_lease_ms"] = oldestLeaseMs
        return object
    }
}
