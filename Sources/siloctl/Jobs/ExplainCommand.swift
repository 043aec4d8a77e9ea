import CommandLineTool
import Foundation
import SiloAPI

/// `job explain`: why a job is not running now.
struct ExplainCommand {
    let arguments: Arguments
    let output: Output
    private var times: Times { output.times }

    func run() async throws {
        let question = try await JobCommands(arguments: arguments, output: output).question {
            (request: inout SiloV1.ExplainJobRequest, shard, id, tenant) in
            (request.shard, request.id, request.tenant) = (shard, id, tenant)
        }
        let answer = try await question.server.call(SiloV1.Silo.explainJob, question.request)
        try output.print(object(answer), lines(answer))
    }

    // MARK: For people

    private func lines(_ answer: SiloV1.ExplainJobResponse) -> [Line] {
        var lines: [Line] = ["\(answer.summary)"]
        // The summary names the first.
        let told = answer.obstacles.first.flatMap { answer.summary.contains($0.text) ? $0 : nil }
        if let told { lines += details(told) }
        let rest = answer.obstacles.dropFirst(told == nil ? 0 : 1)
        let isBlocked = told?.blocksNow ?? false || rest.contains(where: \.blocksNow)
        for (obstacles, title) in [
            (rest.filter(\.blocksNow), told == nil ? "It waits for:" : "It also waits for:"),
            (rest.filter { !$0.blocksNow }, isBlocked ? "In its way after that:" : "In its way:"),
        ] where !obstacles.isEmpty {
            lines += ["", Line(title)] + obstacles.flatMap { ["  - \($0.text)"] + details($0) }
        }
        lines += [
            "", "Job:       \(answer.id)",
            "Status:    \(answer.status.line), attempt \(answer.attempt), task group \(answer.taskGroup)",
        ]
        guard answer.status == .scheduled else { return lines }
        if let start = answer.earliestStartAtMs {
            lines.append("Earliest:  \(times.text(start))")
        }
        if let start = answer.estimatedStartAtMs {
            lines.append("Estimated: \(times.text(start)) if things go on as of late")
        }
        // That nobody asks says when somebody last did.
        let isToldOfWorkers = answer.obstacles.contains { $0.kind == .noWorker }
        return lines + (isToldOfWorkers ? [] : ["Workers:   \(workers(answer))"])
    }

    private func workers(_ answer: SiloV1.ExplainJobResponse) -> String {
        let waiting = switch answer.workersWaiting {
        case 0: "none waits"
        case 1: "1 waits"
        default: "\(answer.workersWaiting) wait"
        }
        let poll = answer.lastPollAtMs.map { "one last asked \(Words.distance($0, from: times.now))" }
        return "\(waiting) for work of its group; \(poll ?? "none has asked since the shard was opened")"
    }

    private func details(_ obstacle: SiloV1.Obstacle) -> [Line] {
        var lines: [Line] = []
        if let until = obstacle.untilMs { lines.append("    until \(times.text(until))") }
        if let estimate = obstacle.estimateMs {
            lines.append("    for about \(Words.length(estimate)) more, at the pace of late")
        }
        guard !obstacle.holders.isEmpty else { return lines }
        let rows = obstacle.holders.map { holder -> [Line] in
            let isRunning = holder.sinceMs > 0
            return [
                "\(holder.jobId)", "\(holder.taskGroup)",
                isRunning ? "runs for \(Words.age(holder.sinceMs, at: times.now))" : "waits for a worker",
                isRunning ? "\(holder.workerId)" : "-",
            ]
        }
        lines += ["    held by"] + Table.lines(["Job", "Task Group", "State", "Worker"], rows, indent: 6)
        let rest = obstacle.inUse.subtractingReportingOverflow(UInt64(obstacle.holders.count))
        if !rest.overflow, rest.partialValue > 0 { lines.append("      and \(rest.partialValue) more") }
        return lines
    }

    // MARK: For programs

    private func object(_ answer: SiloV1.ExplainJobResponse) -> [String: Any] {
        var object: [String: Any] = [
            "id": answer.id, "status": answer.status.word, "summary": answer.summary, "obstacles": answer.obstacles.map(object),
            "task_group": answer.taskGroup, "attempt": answer.attempt, "workers_waiting": answer.workersWaiting,
        ]
        object["earliest_start_at_ms"] = answer.earliestStartAtMs
        object["estimated_start_at_ms"] = answer.estimatedStartAtMs
        object["last_poll_at_ms"] = answer.lastPollAtMs
        return object
    }

    private func object(_ obstacle: SiloV1.Obstacle) -> [String: Any] {
        var object: [String: Any] = [
            "kind": obstacle.kind.word, "text": obstacle.text, "key": obstacle.key, "max": obstacle.max, "in_use": obstacle.inUse,
            "ahead": obstacle.ahead, "ahead_is_least": obstacle.aheadIsLeast, "blocks_now": obstacle.blocksNow,
            "holders": obstacle.holders.map { holder -> [String: Any] in
                [
                    "job_id": holder.jobId, "task_id": holder.taskId, "worker_id": holder.workerId,
                    "task_group": holder.taskGroup,
                    "since_ms": holder.sinceMs,
                ]
            },
        ]
        object["until_ms"] = obstacle.untilMs
        object["estimate_ms"] = obstacle.estimateMs
        return object
    }
}

extension SiloV1.Obstacle.Kind {
    /// As the schema names it, without its prefix.
    fileprivate var word: String {
        switch self {
        case .timer: "timer"
        case .concurrency: "concurrency"
        case .floating: "floating"
        case .rate: "rate"
        case .readyQueue: "ready_queue"
        case .noWorker: "no_worker"
        case .paused: "paused"
        case .externalRate: "external_rate"
        default: "unknown"
        }
    }
}
