/// A question that operators ask often, as a statement.
package struct CommonQuestion: Sendable {
    /// Of lower-case letters.
    package let name: String
    /// What it answers, in a line.
    package let about: String
    package let sql: String

    package static let all: [CommonQuestion] = [
        CommonQuestion(
            name: "backlog", about: "jobs that could start, by group, and how long the oldest waits",
            sql: """
            SELECT task_group, COUNT(*) AS waiting, (now_ms() - MIN(next_attempt_starts_after_ms)) / 1000 AS oldest_waits_s
            FROM jobs WHERE status_kind = 'Waiting' GROUP BY task_group ORDER BY oldest_waits_s DESC
            """),
        CommonQuestion(
            name: "failures", about: "attempts that failed in the last hour, by error code",
            sql: """
            SELECT error_code, COUNT(*) AS failures, COUNT(DISTINCT job_id) AS jobs FROM attempts
            WHERE outcome = 'Failed' AND finished_at_ms > now_ms() - 3600000 GROUP BY error_code ORDER BY failures DESC
            """),
        CommonQuestion(
            name: "tenants", about: "the 20 tenants with most jobs that could start",
            sql: """
            SELECT tenant, COUNT(*) AS waiting FROM jobs WHERE status_kind = 'Waiting'
            GROUP BY tenant ORDER BY waiting DESC LIMIT 20
            """),
        CommonQuestion(
            name: "holders", about: "who holds the limit key $1, and since when; a job that no worker has yet with its attempt",
            sql: """
            SELECT q.tenant, COALESCE(l.job_id, q.task_id) AS job_id, l.worker_id, (now_ms() - q.timestamp_ms) / 1000 AS held_s
            FROM queues q LEFT JOIN (SELECT tenant, task_id, job_id, worker_id FROM leases) l
            ON l.task_id = q.task_id AND l.tenant = q.tenant
            WHERE q.queue_name = $1 AND q.entry_type = 'holder' ORDER BY held_s DESC
            """),
        CommonQuestion(
            name: "limits", about: "limits at which jobs wait",
            sql: """
            SELECT tenant, limit_key, limit_type, maximum, held, waiting FROM limits WHERE waiting > 0 ORDER BY waiting DESC
            """),
        CommonQuestion(
            name: "longest", about: "the 20 attempts that have run longest",
            sql: """
            SELECT tenant, job_id, task_group, worker_id, (now_ms() - started_at_ms) / 1000 AS runs_s
            FROM leases ORDER BY started_at_ms LIMIT 20
            """),
        CommonQuestion(
            name: "statuses", about: "jobs by status",
            sql: """
            SELECT status_kind, COUNT(*) AS jobs FROM jobs GROUP BY status_kind ORDER BY jobs DESC
            """),
        CommonQuestion(
            name: "workers", about: "workers and what they hold",
            sql: """
            SELECT worker_id, task_group, COUNT(*) AS running, MIN(expires_at_ms) - now_ms() AS next_expires_in_ms
            FROM leases GROUP BY worker_id, task_group ORDER BY running DESC
            """),
    ]
}
