// The whole keyspace of a shard's database. Reading this file is knowing the database.
//
//   shard-wide   00                                   (LogPosition) of the store itself, where its log is on a local disk
//                01 01                                ShardInfo    what the database says of itself
//                01 02                                (1,024 bits) the slices that hold anything: those that opening reads
//                01 05 kind name                      Pause        what is paused for all tenants
//                01 07 action                         BulkAction   what is being done to many jobs, and how far it has come
//
//   a slice      slice 02 hash tenant group           QueueCounts  the directory: every queue that has jobs
//   indexes      slice 03 hash tenant limit           Refresh      the outstanding refresh of a floating limit
//                slice 04 hash tenant                 TenantState  of tenants that have, or had, slots
//                slice 05 hash tenant kind name       Pause        what is paused of a tenant
//                slice 06 hash tenant line            Line         every line of jobs that wait with the same limits
//
//   short-lived  slice 20 hash tenant group rank arrival job   Task      ready to run, in order of rank, then of arrival
//                slice 21 hash tenant job                      Lease     the running attempt
//                slice 22 hash tenant group due arrival job    Task      waits for its date
//                slice 23 hash tenant group due arrival job    Task      waits for a length of time, by the shard's steady time
//                slice 24 hash tenant line rank arrival job    Task      waits at a limit, in order of rank, then of arrival
//                slice 25 hash tenant limit                    Slots     what of a concurrency limit is held
//                slice 26 hash tenant name key                 Bucket    what of a rate limit is used
//
//   kept         slice 40 hash tenant job                      Job       what was asked for
//                slice 41 hash tenant job                      Status    what became of it
//                slice 42 hash tenant job attempt              Attempt   finished attempts, but for the one that ended the job
//                slice 43 hash tenant key value job            (empty)   metadata index
//                slice 44 hash tenant state ~changed job       FinishedJob  finished jobs of a tenant, newest first
//                slice 45 ~changed hash tenant job             (empty)   failed jobs of all tenants, newest first
//                slice 46 state period hash tenant             (empty)   tenants that had a job finish in a period
//                slice 47 until hash tenant job                FinishedJob  finished jobs that are kept for a time of their own
//                slice 7f key                                  (as found) rows that could not be read, set aside
//
// A slice is the first ten bits of the tenant's routing hash. Everything of a slice is one range of keys, and slices lie in
// the order of the routing hash: a shard is cut between two slices by ranges alone, with nothing to copy or clean up. Two
// neighbours are joined by ranges too, once one of them was merged into files of its own: siblings share those of their parent,
// and a union of both would lose rows at its first merge. What is shard-wide is written anew for each part.
//
// A job stands in exactly one place: a ready row (20), a lease row (21), a timer row (22 or 23), a waiting row (24) or a finished
// row (44).
//
// What is asked, and what it costs. "Slices" are those that hold anything, at most 1,024 of a shard:
//
//   the job, its status, its lease                 one get each (40, 41, 21)
//   its earlier attempts                           one scan (42)
//   what is ready in a queue                       one scan (20); a slice's tenants are neighbours, so that a page serves many
//   what is due in a queue                         one scan by each clock (22, 23)
//   who is first in a line                         one scan (24)
//   what is held of a limit, or used of a bucket   one get each (25, 26), while memory does not have it
//   opening                                        two gets and the shard-wide rows, then one scan of 02 to 05 in each slice;
//                                                  lines (06) are read afterwards, while the shard serves
//   live leases, when it is opened                 one scan (21) in each slice whose directory counts some
//   jobs of a tenant by how they ended, newest     one scan (44)
//   the newest failures of all tenants             one scan (45) in each slice, merged: the first page of all of them is read,
//                                                  and then of the slice whose page has run out
//   what ended before a date, for retention        one scan (46) in each slice and state gives the tenants, of each
//                                                  of which the jobs are one scan (44)
//   what goes at a time of its own                 one scan (47) in each slice
//   jobs by metadata                               one scan for each tenant (43)
//   counts by tenant, group and state              one scan (02) for each slice, or for the tenant; memory has those of queues
//                                                  that have something to do
//   everything of a tenant, to drop or export it   one scan in each of its seventeen families, and in as many of rows that were
//                                                  set aside; its rows of 45 to 47 lie among others, and go with those of 44
//
// What a job costs. A life of enqueue, lease and success writes seven rows: job and ready row; the ready row's deletion and the
// lease; the lease's deletion, status and finished row. Six of these are changes that somebody has to find under another key
// than before: where the job stands is in the key, so that a line of jobs is a range. The seventh, the status, cannot be folded
// into one of the others: into the job (40) it would mean to write the payload again; into the finished row (44), whose key
// has how and when it ended, a get by id would become a search. Before the end there is none: the place says what the status is.
// Of what comes and goes between two checkpoints of a log of our own only three rows reach the sorted files: job, status and
// finished row.
//
// Room for what may come, each with the question that it has to answer:
//
//   repeated jobs (schedules)   which are due is a matter of time: the next run is a timer row (22) as any other, so that no
//                               second clock is needed. What is repeated is one get, or one scan of a tenant, in a family
//                               that is kept
//   unique keys                 is there one that has not ended, before every enqueue that brings one: one get in a family
//                               that is short-lived (27 to 3f), at hash, tenant and key, for it goes with its job
//   dependencies                who waits for this one, when a job ends: one scan of a family that is short-lived, at hash,
//                               tenant and job. Jobs of one tenant only: another's may lie in another shard
