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
// the order of the routing hash: a shard is cut between two slices, or joined to its neighbour, by ranges alone. What is
// shard-wide is written anew for each part.
//
// A job stands in exactly one place: a ready row (20), a lease row (21), a timer row (22 or 23), a waiting row (24) or a finished
// row (44).
//
// What is asked, and what it costs:
//
//   the job, its status, its lease                 one get each
//   what is ready, or due, in a queue              one short scan; ready rows of a slice's tenants are neighbours, so that one
//                                                  page serves many small tenants
//   opening                                        one get, then one scan of the indexes of each slice that holds anything;
//                                                  lines are read afterwards, while the shard serves
//   live leases                                    one scan in each slice whose directory counts some
//   jobs of a tenant by how they ended, newest     one scan
//   the newest failures of all tenants             a scan in each slice, newest slice first (the shard knows each slice's newest)
//   what ended before a date, for retention        one scan in each slice and state, of periods that ended before it: tenants
//   what goes at a time of its own                 one scan in each slice
//   jobs by metadata                               one scan
//   counts by tenant, group and state              the directory, which is in memory or one scan
//   everything of a tenant, to drop or export it   one range in each family but 45 to 47: eighteen
