import SiloAPI
import SiloCore

/// What `top` shows, for programs.
extension TopFrame.Moment {
    func object(_ choices: TopChoices) -> [String: Any] {
        var object: [String: Any] = [
            "at_ms": now, "findings": TopHealth(sample).findings.map { $0.text(isColored: false) },
            "jobs": [
                "ready": sum(\.ready), "waiting": sum(\.waiting), "running": sum(\.running), "scheduled": sum(\.scheduled),
            ],
            "servers": sample.nodes.map { node -> [String: Any] in
                ["node_id": node.nodeId, "version": node.version, "started_at_ms": node.startedAtMs, "measured": node.isMeasured]
            },
            "ready_to_start_ms": quantiles(minute.readyToStart), "run_time_ms": quantiles(minute.runTime),
        ]
        object["oldest_ready_ms"] = sample.nodes.compactMap(\.oldestReadyMs).max()
        if let rates = pace.rates {
            object["per_second"] = [
                "enqueued": rates.enqueued, "started": rates.started, "finished": rates.finished, "failed": rates.failed,
            ]
        }
        object[choices.view.rawValue] = rows(choices)
        return object
    }

    private func sum(_ path: KeyPath<SiloV1.OverviewJobs, Int64>) -> Int64 {
        sample.nodes.reduce(0) { $0 + ($1.jobs?[keyPath: path] ?? 0) }
    }

    private func quantiles(_ latencies: Latencies) -> [String: Any] {
        var object: [String: Any] = [:]
        for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
            object[name] = latencies.quantile(share, minute.bounds)
        }
        return object
    }

    /// The table, each row by the titles of its columns.
    private func rows(_ choices: TopChoices) -> [[String: Any]] {
        let table = TopTables(sample: sample, pace: pace, minute: minute, now: now).table(choices.view, filter: choices.filter)
        let sorted = table.sorted(by: choices.sorting.column, isReversed: choices.sorting.isReversed)
        return sorted.rows.map { row in
            var object: [String: Any] = [:]
            for (column, cell) in zip(table.columns, row) { object[column.key] = cell.order.value }
            return object
        }
    }
}

extension TopTable.Column {
    /// `at_limits` of `At limits`.
    fileprivate var key: String {
        title.lowercased().replacing(" ", with: "_").replacing("/", with: "_per_") + (isLength ? "_ms" : "")
    }
}

extension TopTable.Order {
    /// Nil: there is none, or it has no end.
    fileprivate var value: Any? {
        switch self {
        case .text(let text): text
        case .number(let number) where number < 0 || !number.isFinite: nil
        case .number(let number): number
        }
    }
}
