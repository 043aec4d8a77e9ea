/* Leases and limits of one shard, small enough to search whole. README.md says how to read it.
 *
 * A shard runs one command after another: each is one atomic step on `m`, which is what the shard knows. A flush makes it
 * durable, as `d`, and only then sends the answers. A crash takes `m` back to `d`. Workers and clients stand outside.
 */

/* Bounds. */
#define JOBS 3
#define WORKERS 2
#define SLOTS 1                /* of each of the limits A and B */
#define RETRIES(j) (j == 0)    /* of job j, in each of its runs */
#define CRASHES 1
#define RESTARTS 1             /* calls of restart, of all jobs together */
#ifndef CANCELS
#define CANCELS 1              /* calls of cancel, likewise */
#endif
#ifndef LAG
#define LAG 2                  /* commands between two flushes */
#endif

/* Limits, as a set. The first job needs A and B; `init` chooses the others. */
#define A 1
#define B 2
#define AB 3

/* Where a job stands: it has exactly one of these rows, or does not exist. */
#define TIMER 1
#define WAITING 2
#define READY 4
#define LEASED 8
#define FINISHED 16

mtype:end = { SUCCEEDED, FAILED, CANCELLED };

/* Mistakes that `check` builds in, one at a time, to see that a claim finds it. */
#ifndef BUG
#define BUG 0
#endif
#define bug(mistake) (BUG == mistake)
#define GRANT_TWICE 1          /* a full limit has room for one more */
#define HOLD_WHILE_WAITING 2   /* limits are taken one by one, and held while the job waits for the next */
#define LATE_REPORT 3          /* a report is accepted after its lease ended */
#define START_AFTER_CANCEL 4   /* a cancelled attempt that fails is retried */
#define LOST_WAKEUP 5          /* a grant pass that stopped at its bound is not resumed */
#define REOPEN_FORGETS 6       /* nor is one that a crash cut short */
#define WAKE_FIRST_LIMIT 7     /* a free slot is offered only to the jobs that name its limit first */
#define ACK_BEFORE_DURABLE 8   /* answers do not wait for the flush */
#define REVIVE_LEASE 9         /* a heartbeat writes the lease again */
#define LEASE_TWICE 10         /* a lease leaves the ready row */
#define CANCEL_KEEPS_READY 11  /* so does a cancel */
#define RETRY_KEEPS_SLOTS 12   /* the slots of a failed attempt stay held while it waits to be retried */
#define FINISH_KEEPS_SLOTS 13  /* those of a failed job stay held for ever */
#define COUNT_LEAKS 14         /* a slot is released, but still counted */
#define WAIT_FOR_CROWD 15      /* a flush waits until there is enough to flush */

typedef Shard {
  byte row[JOBS], retries[JOBS], attempt[JOBS], outcomes[JOBS];
  byte holds[JOBS];            /* the limits that it holds a slot of */
  byte cancelled[JOBS];        /* 0, or 1 + the attempts that had started when it was cancelled */
  mtype:end end[JOBS];
  byte held[2];                /* slots taken of A and of B */
  byte lease[WORKERS];         /* the task that each worker leases */
}
Shard m, d;
byte left;                     /* limits that a grant pass must still look at; lost in a crash */
byte unflushed;                /* commands since the last flush */
byte owed[WORKERS];            /* a task that is leased, but the answer is not sent yet */
byte task[WORKERS];            /* the task that the worker knows of */
short told[JOBS];              /* what was last answered about the job: see `news` */
bool takenBack;                /* a crash took something back that was answered */
byte needs[JOBS], first[JOBS]; /* the limits that the job names, and the first of them */
byte crashes = CRASHES, restarts = RESTARTS, cancels = CANCELS;   /* that may still come */
hidden byte i, k;

/* A task is a job and the number of its attempt. */
#define TASK(j)        (16 * (j + 1) + m.attempt[j])
#define JOB(task)      (task / 16 - 1)
#define has(j, rows)   (m.row[j] & (rows))
#define room           (unflushed < LAG)
#define hasSlot(limit) (m.held[limit] < SLOTS + bug(GRANT_TWICE))
#define isFree(set)    ((!((set) & A) || hasSlot(0)) && (!((set) & B) || hasSlot(1)))
#define news(j)        (m.row[j] + 32 * m.end[j] + 128 * (m.cancelled[j] > 0) + 256 * m.attempt[j])

/* --- durability --- */

inline copy(to, from) {
  for (i : 0 .. JOBS - 1) {
    to.row[i] = from.row[i]; to.retries[i] = from.retries[i]; to.attempt[i] = from.attempt[i]; to.end[i] = from.end[i];
    to.outcomes[i] = from.outcomes[i]; to.holds[i] = from.holds[i]; to.cancelled[i] = from.cancelled[i]
  }
  for (i : 0 .. 1) { to.held[i] = from.held[i] }
  for (i : 0 .. WORKERS - 1) { to.lease[i] = from.lease[i] }
}

inline answer() {
  for (i : 0 .. JOBS - 1) { told[i] = news(i) }
  for (i : 0 .. WORKERS - 1) { if :: owed[i] -> task[i] = owed[i]; owed[i] = 0 :: else fi }
}

inline flush() { copy(d, m); unflushed = 0; answer(); skip }

/* For whoever replays a trail. Costs a search nothing. */
inline print() {
  printf("      rows %d %d %d  slots %d %d  leases %d %d  tasks %d %d  left %d  unflushed %d\n", m.row[0], m.row[1], m.row[2],
    m.held[0], m.held[1], m.lease[0], m.lease[1], task[0], task[1], left, unflushed)
}

/* Ends a command. Once no crash can come, when it is flushed makes no difference. */
inline commit() {
  if :: bug(ACK_BEFORE_DURABLE) -> answer() :: else fi;
  if :: crashes || bug(WAIT_FOR_CROWD) -> unflushed++ :: else -> flush() fi;
  print()
}

inline reopen() {
  copy(m, d); unflushed = 0;
  for (i : 0 .. JOBS - 1) { takenBack = takenBack || told[i] != news(i) }
  for (i : 0 .. WORKERS - 1) { owed[i] = 0 }
  left = (bug(REOPEN_FORGETS) -> 0 : AB);
  print()
}

/* --- limits --- */

inline put(j, rows)  { m.row[j] = m.row[j] | (rows) }
inline drop(j, rows) { m.row[j] = m.row[j] & ~(rows) }

/* What the job takes next: all that it needs, in one step. */
#define lacks(j) (bug(HOLD_WHILE_WAITING) && !(m.holds[j] & first[j]) -> first[j] : needs[j] & ~m.holds[j])

/* The one way to the ready queue. */
inline admit(j) {
  do
  :: lacks(j) && isFree(lacks(j)) ->
     m.held[0] = m.held[0] + (lacks(j) & A); m.held[1] = m.held[1] + (lacks(j) & B) / B; m.holds[j] = m.holds[j] | lacks(j)
  :: else -> break
  od;
  if :: lacks(j) -> put(j, WAITING) :: else -> put(j, READY) fi
}

/* Gives free slots to the first waiting job that can have all it needs: one job a pass, and `left` says to come again. */
#define isNext(j) (has(j, WAITING) && (left & (bug(WAKE_FIRST_LIMIT) -> first[j] : needs[j])) && isFree(lacks(j)))
inline grant() {
  k = 0;
  do :: k < JOBS && !isNext(k) -> k++ :: else -> break od;
  if
  :: k < JOBS ->
     printf("      job %d gets its slots\n", k); drop(k, WAITING); admit(k);
     left = (bug(LOST_WAKEUP) -> 0 : left & (hasSlot(0) | hasSlot(1) * B))
  :: else -> left = 0
  fi
}

inline release(j) {
  left = left | m.holds[j];
  if
  :: bug(COUNT_LEAKS)
  :: else -> m.held[0] = m.held[0] - (m.holds[j] & A); m.held[1] = m.held[1] - (m.holds[j] & B) / B
  fi;
  m.holds[j] = 0;
  grant()
}

/* --- how attempts and jobs end --- */

inline finish(j, how) {
  put(j, FINISHED); m.end[j] = how;
  if :: bug(FINISH_KEEPS_SLOTS) && how == FAILED :: else -> release(j) fi
}

inline endAttempt(w, j, success) {
  drop(j, LEASED); m.outcomes[j]++;
  if
  :: success -> finish(j, SUCCEEDED)
  :: !success && m.cancelled[j] && !bug(START_AFTER_CANCEL) -> finish(j, CANCELLED)
  :: !success && (!m.cancelled[j] || bug(START_AFTER_CANCEL)) && m.retries[j] ->
     m.retries[j]--; put(j, TIMER);
     if :: bug(RETRY_KEEPS_SLOTS) :: else -> release(j) fi
  :: else -> finish(j, FAILED)
  fi;
  m.lease[w] = 0
}

inline report(w, success) {
  if
  :: m.lease[w] == task[w] || bug(LATE_REPORT) ->
     printf("worker %d reports task %d: success %d\n", w, task[w], success);
     endAttempt(w, JOB(task[w]), success); commit()
  :: else -> printf("worker %d is refused for task %d\n", w, task[w]); task[w] = 0
  fi;
  skip
}

inline expire(w) {
  printf("the lease of task %d expires\n", m.lease[w]);
  endAttempt(w, JOB(m.lease[w]), false); commit()
}

/* A heartbeat tells whether the lease still stands. There is no clock here that it could set back. */
inline heartbeat(w) {
  if
  :: m.lease[w] == task[w]
  :: else ->
     printf("worker %d learns by a heartbeat that task %d is over\n", w, task[w]);
     m.lease[w] = (bug(REVIVE_LEASE) -> task[w] : m.lease[w]); task[w] = 0
  fi;
  skip
}

/* --- who acts --- */

/* Sets j to any job of which the condition holds. Not executable when there is none. */
#define anyJob(condition) if :: condition(0) -> j = 0 :: condition(1) -> j = 1 :: condition(2) -> j = 2 fi
#define canEnqueue(j) (room && m.row[j] == 0)
#define canCancel(j)  (room && cancels && m.row[j] && !has(j, FINISHED) && !m.cancelled[j])
#define canRestart(j) (room && restarts && has(j, FINISHED) && m.end[j] != SUCCEEDED)
#define canLease(j)   (room && has(j, READY) && !task[w] && !owed[w] && !m.lease[w])
#define isDue(j)      (room && has(j, TIMER))

proctype Client() {
  byte j;
end:
  do
  :: atomic { anyJob(canEnqueue); d_step {
       printf("enqueue job %d\n", j); m.retries[j] = RETRIES(j); admit(j); commit(); j = 0 } }
  :: atomic { anyJob(canEnqueue); d_step {
       printf("enqueue job %d for later\n", j); m.retries[j] = RETRIES(j); put(j, TIMER); commit(); j = 0 } }
  :: atomic { anyJob(canCancel); d_step {
       printf("cancel job %d\n", j); cancels--; m.cancelled[j] = m.attempt[j] + 1;
       if
       :: has(j, LEASED)   /* only marked: the attempt goes on */
       :: else -> drop(j, TIMER | WAITING | READY * !bug(CANCEL_KEEPS_READY)); finish(j, CANCELLED)
       fi;
       commit(); j = 0 } }
  :: atomic { anyJob(canRestart); d_step {
       printf("restart job %d\n", j); restarts--; drop(j, FINISHED); m.end[j] = 0; m.cancelled[j] = 0; m.retries[j] = RETRIES(j);
       admit(j); commit(); j = 0 } }
  od
}

/* Reports late, twice or never: it keeps a task until a report is refused, or until it dies and another takes its place. */
proctype Worker(byte w) {
  byte j;
end:
  do
  :: atomic { anyJob(canLease); d_step {
       printf("worker %d leases job %d\n", w, j);
       m.attempt[j] = m.attempt[j] + !(bug(LEASE_TWICE) && has(j, LEASED));
       drop(j, READY * !bug(LEASE_TWICE)); put(j, LEASED); m.lease[w] = TASK(j); owed[w] = TASK(j);
       commit(); j = 0 } }
  :: d_step { room && task[w] -> report(w, true) }
  :: d_step { room && task[w] -> report(w, false) }
  :: d_step { task[w] -> printf("worker %d dies\n", w); task[w] = 0 }
  od
}

proctype Heart() {
end:
  do
  :: d_step { room && task[0] -> heartbeat(0) }
  :: d_step { room && task[1] -> heartbeat(1) }
  od
}

/* Timers may be due, and leases run out, at any time. */
proctype Time() {
  byte j;
end:
  do
  :: atomic { anyJob(isDue); d_step { printf("job %d is due\n", j); drop(j, TIMER); admit(j); commit(); j = 0 } }
  :: d_step { room && m.lease[0] -> expire(0) }
  :: d_step { room && m.lease[1] -> expire(1) }
  od
}

proctype Loop() {
end:
  do
  :: d_step { unflushed > bug(WAIT_FOR_CROWD) -> printf("flush\n"); flush(); skip }
  :: d_step { room && left -> printf("grant what is left\n"); grant(); commit() }
  od
}

/* A crash, or the choice that none comes. Were a crash sure to come, it would heal what a lost wake-up leaves. */
proctype Crash() {
end:
  do
  :: d_step { crashes -> printf("crash\n"); crashes--; reopen() }
  :: d_step { crashes -> crashes = 0; flush() }
  od
}

init {
  atomic {
    needs[0] = AB; first[0] = A;
    if
    :: needs[1] = AB; first[1] = B; needs[2] = A; first[2] = A   /* two that could block each other */
    :: needs[1] = A;  first[1] = A; needs[2] = B; first[2] = B   /* two that the first one frees at once */
    fi;
    run Worker(0); run Worker(1); run Client(); run Heart(); run Time(); run Loop(); run Crash()
  }
}

#include "claims.pml"
