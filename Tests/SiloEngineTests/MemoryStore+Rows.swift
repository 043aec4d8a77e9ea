import SiloStore

extension MemoryStore {
    /// Rows of tenants, but for the index of periods, which only retention clears.
    var rowsLeft: [Row] { rows.filter { Slice(of: $0.key) != nil && family($0) != 0x46 } }

    /// Rows of jobs: those of tenants that belong to no index of the shard.
    var jobRows: [Row] { rowsLeft.filter { family($0) >= 0x20 } }

    /// Every stored line.
    var lines: [Row] { rowsLeft.filter { family($0) == 0x06 } }

    var rowsSetAside: [Row] { rows.filter { Slice(of: $0.key) != nil && family($0) == 0x7f } }

    private func family(_ row: Row) -> UInt8 { row.key.count > 2 ? row.key[2] : 0 }
}
