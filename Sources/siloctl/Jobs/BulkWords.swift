import Foundation
import SiloAPI

extension SiloV1.BulkActionKind {
    /// As commands name it.
    var word: String {
        switch self {
        case .cancel: "cancel"
        case .restart: "restart"
        case .expedite: "expedite"
        case .delete: "delete"
        default: "unknown"
        }
    }

    fileprivate var pastWord: String {
        switch self {
        case .cancel: "Cancelled"
        case .restart: "Restarted"
        case .expedite: "Expedited"
        case .delete: "Deleted"
        default: "Changed"
        }
    }
}

extension SiloV1.BulkActionState {
    var word: String {
        switch self {
        case .running: "running"
        case .done: "done"
        case .stopped: "was stopped"
        case .failed: "failed"
        default: "unknown"
        }
    }

    var line: Line {
        switch self {
        case .running: Line(word, .busy)
        case .done: Line(word, .good)
        case .failed: Line(word, .bad)
        default: Line(word, .quiet)
        }
    }
}

extension Words {
    /// `1,234,567`
    static func grouped(_ number: UInt64) -> String {
        let digits = Array(String(number))
        return digits.enumerated().map { index, digit in
            index > 0 && (digits.count - index) % 3 == 0 ? ",\(digit)" : String(digit)
        }.joined()
    }
}

extension String {
    var oneLine: String { split(whereSeparator: \.isWhitespace).joined(separator: " ") }
}

extension SiloV1.BulkJob {
    fileprivate var name: String { tenant.map { "\($0)/\(id)" } ?? id }
    fileprivate var object: [String: Any] { tenant.map { ["tenant": $0, "id": id] } ?? ["id": id] }
}

extension SiloV1.BulkPlan {
    func lines(_ kind: SiloV1.BulkActionKind) -> [Line] {
        var lines: [Line] = []
        if isUncounted {
            let why = uncountedBecause.isEmpty ? "" : ": \(uncountedBecause)"
            lines.append("How many jobs match was not found out in \(Words.length(elapsedMs))\(why)")
        } else {
            lines.append("\(Words.count(jobs, "job")) \(jobs == 1 ? "matches" : "match")")
            lines += Table.lines(
                nil,
                statuses.map { count in
                    [
                        "\(count.statusKind)", "\(Words.grouped(count.jobs))",
                        count.refusal.isEmpty ? "" : Line("refused: \(count.refusal)", .quiet),
                    ]
                }, indent: 2, onTheRight: [1])
        }
        if !sample.isEmpty {
            let names = sample.map(\.name).joined(separator: ", ")
            lines.append(jobs <= UInt64(sample.count) && !isUncounted ? "These are \(names)" : "Such as \(names)")
        }
        lines.append(Line("To find that out, \(Words.count(rowsRead, "row")) were read in \(Words.length(elapsedMs))", .quiet))
        return lines
    }

    var object: [String: Any] {
        var object: [String: Any] = [
            "sample": sample.map(\.object), "rows_read": rowsRead, "elapsed_ms": elapsedMs, "is_uncounted": isUncounted,
            "uncounted_because": uncountedBecause,
        ]
        guard !isUncounted else { return object }
        object["jobs"] = jobs
        object["statuses"] = statuses.map { count in
            ["status_kind": count.statusKind, "jobs": count.jobs, "refusal": count.refusal] as [String: Any]
        }
        return object
    }
}

extension SiloV1.BulkAction {
    /// Of what there was to be looked at.
    var percent: UInt64 { state == .done ? 100 : min(99, 100 * lookedAt / max(1, expected)) }

    func lines(_ times: Times) -> [Line] {
        var fields: [(String, Line)] = [
            ("Action", "\(id)"), ("Kind", "\(kind.word)"), ("Condition", "\(condition.oneLine)"),
            ("State", state.line), ("Began", "\(times.text(startedAtMs)), by \(startedBy)"),
        ]
        if !tenants.isEmpty { fields.insert(("Tenants", "\(tenants.joined(separator: ", "))"), at: 3) }
        if endedAtMs != 0 {
            fields.append(("Ended", "\(times.text(endedAtMs)), after \(Words.length(endedAtMs - startedAtMs))"))
        }
        if !error.isEmpty { fields.append(("Error", Line(error, .bad))) }
        if !missingShards.isEmpty {
            fields.append(("Not Known", Line("of shards that do not answer: \(missingShards.joined(separator: ", "))", .bad)))
        }
        fields.append(("Looked At", "\(Words.grouped(lookedAt)) of about \(Words.count(expected, "job"))"))
        fields.append((kind.pastWord, "\(Words.count(done, "job"))"))
        fields.append(("Refused", "\(Words.count(refused, "job"))"))
        let reasons = refusals.map { refusal -> [Line] in
            let names = refusal.sample.map(\.name).joined(separator: ", ")
            let more = refusal.jobs > UInt64(refusal.sample.count) ? ", …" : ""
            return ["\(Words.grouped(refusal.jobs))", "\(refusal.reason)", Line("\(names)\(more)", .quiet)]
        }
        return Output.fields(fields.map { (name: $0.0, value: $0.1) }) + Table.lines(nil, reasons, indent: 2, onTheRight: [0])
    }

    var object: [String: Any] {
        [
            "id": id, "kind": kind.word, "condition": condition, "tenants": tenants, "started_by": startedBy,
            "started_at_ms": startedAtMs, "ended_at_ms": endedAtMs, "state": state == .stopped ? "stopped" : state.word,
            "error": error, "done": done, "refused": refused, "looked_at": lookedAt, "expected": expected,
            "refusals": refusals.map { refusal in
                ["reason": refusal.reason, "jobs": refusal.jobs, "sample": refusal.sample.map(\.object)] as [String: Any]
            },
            "shards": shards.map { shard in
                [
                    "shard": shard.shard, "state": shard.state == .stopped ? "stopped" : shard.state.word, "error": shard.error,
                    "done": shard.done, "refused": shard.refused, "looked_at": shard.lookedAt, "expected": shard.expected,
                    "ended_at_ms": shard.endedAtMs,
                ] as [String: Any]
            },
            "missing_shards": missingShards,
        ]
    }
}
