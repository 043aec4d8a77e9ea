extension StatementRun {
    /// Notes a scan in the place of doing it; false: it is to be done.
    func explains(_ table: String, _ strategy: String, _ plan: ScanPlan, _ arguments: ScanArguments) -> Bool {
        guard explained != nil else { return false }
        var limit = arguments.rowsWanted.map { "Some(\($0))" } ?? "None"
        if let conjuncts = compiled?.conjuncts[table], conjuncts > plan.exactCount {
            explained?.append("FilterExec: \(conjuncts - plan.exactCount) of \(conjuncts) conditions")
            limit = "None"
        }
        if query.shards.count > 1 {
            let name = table.split(separator: "_").map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
            explained?.append("ClusterExecutionPlan: partitions=\(query.shards.count), table=\(name)")
        }
        explained?.append("SiloExecutionPlan: \(table)[\(strategy)], limit=\(limit)")
        return true
    }
}
