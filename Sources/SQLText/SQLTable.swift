/// A table that statements read. Its columns are the server's to tell.
package struct SQLTable: Sendable {
    package let name: String
    /// What it has, in a line.
    package let about: String

    package static let all = [
        SQLTable(name: "jobs", about: "jobs, and how far each has come"),
        SQLTable(name: "tasks", about: "attempts that are to be"),
        SQLTable(name: "attempts", about: "every attempt that was begun"),
        SQLTable(name: "leases", about: "attempts that run, and who has them"),
        SQLTable(name: "queues", about: "who holds a concurrency limit, and who waits for one"),
        SQLTable(name: "queue_counts", about: "the same, counted"),
        SQLTable(name: "limits", about: "every limit in use"),
        SQLTable(name: "tenant_counts", about: "jobs of each tenant by status"),
        SQLTable(name: "shards", about: "the shards, and how much they hold"),
    ]
}
