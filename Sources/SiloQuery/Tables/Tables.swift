/// The tables that a statement can read.
enum Tables {
    static func all(of run: StatementRun) -> [VirtualTable] {
        [
            JobsTable(run), TasksTable(run), QueuesTable(run), TenantCountsTable(run), QueueCountsTable(run), AttemptsTable(run),
            LimitsTable(run), LeasesTable(run), ShardsTable(run), JobCountsTable(run),
            JobTalliesTable(run),
        ]
    }
}
