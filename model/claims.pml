/* What must hold of every run of silo.pml: the invariant in words, then as a claim that bears its number. `m` is what the shard
 * knows, also between a command and its flush. */

#define all(holds) (holds(0) && holds(1) && holds(2))
#define any(rows)  (has(0, rows) || has(1, rows) || has(2, rows))

/* A task id has at most one lease. */
ltl J1_one_lease_per_task { [] (m.lease[0] == 0 || m.lease[0] != m.lease[1]) }

/* A job has at most one lease, and stands in exactly one place. */
#define onePlace(j) ((m.row[j] & (m.row[j] - 1)) == 0)
#define oneLease    (m.lease[0] == 0 || m.lease[1] == 0 || JOB(m.lease[0]) != JOB(m.lease[1]))
ltl J2_one_place_per_job { [] (oneLease && all(onePlace)) }

/* A job is running exactly while it has a lease. */
#define runs(w)     (m.lease[w] == 0 || has(JOB(m.lease[w]), LEASED))
#define isLeased(j) (!has(j, LEASED) || m.lease[0] == TASK(j) || m.lease[1] == TASK(j))
ltl J3_leased_is_running { [] (runs(0) && runs(1) && all(isLeased)) }

/* A finished job has no queued task. */
#define notQueued(j) (!has(j, FINISHED) || !has(j, TIMER | WAITING | READY))
ltl J8_finished_is_not_queued { [] all(notQueued) }

/* A finished job has no lease. */
#define notLeased(j) (!has(j, FINISHED) || (m.lease[0] / 16 != j + 1 && m.lease[1] / 16 != j + 1))
ltl J9_finished_is_not_leased { [] all(notLeased) }

/* A task is delivered to exactly one worker. */
ltl J23_one_worker_per_task { [] (task[0] == 0 || task[0] != task[1]) }

/* Exactly one outcome is accepted per lease. */
#define oneOutcome(j) (m.outcomes[j] + has(j, LEASED) / LEASED == m.attempt[j])
ltl J28_one_outcome_per_lease { [] all(oneOutcome) }

/* A cancelled running job whose attempt fails or whose lease expires ends cancelled, not failed. */
#define notFailed(j) (!has(j, FINISHED) || !m.cancelled[j] || m.end[j] != FAILED)
ltl J34_cancelled_does_not_fail { [] all(notFailed) }

/* After a cancel no attempt starts, and no slot stays held but by an attempt that goes on. */
#define isFinal(j) (!m.cancelled[j] || (m.cancelled[j] == m.attempt[j] + 1 && (has(j, LEASED) || !m.holds[j])))
ltl J35_cancel_is_final { [] all(isFinal) }

/* Holders of a limit are never more than its slots. */
#define holders(limit) ((m.holds[0] & limit) + (m.holds[1] & limit) + (m.holds[2] & limit))
ltl L1_holders_within_slots { [] (holders(A) <= SLOTS * A && holders(B) <= SLOTS * B) }

/* A finished job holds nothing. */
#define isReleased(j) (!has(j, FINISHED) || !m.holds[j])
ltl L3_finished_holds_nothing { [] all(isReleased) }

/* A failed attempt that will be retried holds nothing. */
#define retryHoldsNone(j) (!has(j, TIMER) || !m.outcomes[j] || !m.holds[j])
ltl L5_retry_holds_nothing { [] all(retryHoldsNone) }

/* A ready or running job holds all its slots. */
#define holdsAll(j) (!has(j, READY | LEASED) || m.holds[j] == needs[j])
ltl L8_ready_holds_all { [] all(holdsAll) }

/* The count of slots that memory goes by is the number of holders. */
ltl L11_count_is_holders { [] (holders(A) == m.held[0] * A && holders(B) == m.held[1] * B) }

/* A job holds no slot before its start. */
#define timerHoldsNone(j) (!has(j, TIMER) || !m.holds[j])
ltl L13_timer_holds_nothing { [] all(timerHoldsNone) }

/* Free slots go to who waits for them: none waits for free slots, but for a grant pass that is still to come. */
#define notForgotten(j) (!has(j, WAITING) || !isFree(needs[j]) || (left & needs[j]))
ltl L17_free_slots_are_granted { [] all(notForgotten) }

/* All or nothing: a job holds all its slots or none. */
#define allOrNone(j) (m.holds[j] == 0 || m.holds[j] == needs[j])
ltl all_or_nothing { [] all(allOrNone) }

/* No deadlock: where a job waits, another is ready or runs, or a grant pass is still to come. */
ltl no_deadlock { [] (!any(WAITING) || any(READY | LEASED) || left) }

/* An answer never tells of something that a crash could take back. */
ltl answers_stand { [] !takenBack }

/* Every command is answered. */
ltl every_command_is_answered { [] (unflushed -> <> !unflushed) }

/* Every job ends, whatever dies. */
#define isSettled(j) (m.row[j] == 0 || has(j, FINISHED))
ltl every_job_ends { [] <> all(isSettled) }
