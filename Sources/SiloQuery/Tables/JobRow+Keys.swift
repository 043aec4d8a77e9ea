import SiloCore
import SiloStore

/// Jobs as the keys of the rows that they are found by tell them. Nil: the key is malformed, or the job is not asked for.
extension JobRow {
    /// Of a key that ends with tenant and id: of the job itself, its status or its lease.
    init?(job key: Bytes, _ shard: Int) {
        var parts = KeyReader(key)
        guard let tenant = parts.tenant(), let id = parts.text() else { return nil }
        self.init(key: key, tenant: tenant, id: id, shard: shard)
    }

    init?(lease row: Row, _ shard: Int) {
        self.init(job: row.key, shard)
        status = .running
        lease = row.value
    }

    init?(ready row: Row, _ shard: Int) {
        self.init(pending: row, shard)
        status = .waiting
    }

    /// - Parameter statuses: those that are asked for; a timer whose time has come says that its job waits.
    init?(timer row: Row, _ shard: Int, isSteady: Bool, _ statuses: Set<ShownStatus>, at moment: Moment) {
        var parts = KeyReader(row.key)
        guard parts.tenant() != nil, parts.text() != nil, let order = parts.number() else { return nil }
        let due = Timestamp(Int64(clamping: order))
        let date = isSteady ? moment.date(of: due) : due
        let shown: ShownStatus = date > moment.wall ? .scheduled : .waiting
        guard statuses.contains(shown) else { return nil }
        self.init(pending: row, shard)
        status = shown
        nextStart = date.milliseconds
    }

    /// A ready row or a timer.
    private init?(pending row: Row, _ shard: Int) {
        var parts = KeyReader(row.key)
        guard let tenant = parts.tenant(), let group = parts.text(), parts.number() != nil, parts.number() != nil,
            let id = parts.text()
        else { return nil }
        self.init(key: row.key, tenant: tenant, id: id, shard: shard)
        self.group = group
        task = row.value
    }

    init?(lined row: Row, _ shard: Int) {
        var parts = KeyReader(row.key)
        guard let tenant = parts.tenant(), parts.number() != nil, parts.number() != nil, parts.number() != nil,
            parts.number() != nil, let id = parts.text()
        else { return nil }
        self.init(key: row.key, tenant: tenant, id: id, shard: shard)
        status = .waiting
        task = row.value
    }

    init?(finished row: Row, _ shard: Int, _ statuses: Set<ShownStatus>) {
        var parts = KeyReader(row.key)
        guard let tenant = parts.tenant(), let state = parts.byte(), let changed = parts.number(), let id = parts.text(),
            let status = ShownStatus(finished: state), statuses.contains(status)
        else { return nil }
        self.init(key: row.key, tenant: tenant, id: id, shard: shard)
        self.status = status
        changedAt = Int64(clamping: ~changed)
        finished = row.value
    }

    /// A failure among those of all tenants.
    init?(failed row: Row, _ shard: Int) {
        var parts = KeyReader(row.key)
        guard let changed = parts.number(), let tenant = parts.tenant(), let id = parts.text() else { return nil }
        self.init(key: row.key, tenant: tenant, id: id, shard: shard)
        status = .failed
        changedAt = Int64(clamping: ~changed)
    }

    init?(metadata row: Row, _ shard: Int) {
        var parts = KeyReader(row.key)
        guard let tenant = parts.tenant(), parts.text() != nil, parts.text() != nil, let id = parts.text() else { return nil }
        self.init(key: row.key, tenant: tenant, id: id, shard: shard)
    }

    var keys: TenantKeys { TenantKeys(Tenant(tenant.string(in: key))) }
    var jobID: JobID { JobID(id.string(in: key)) }

    /// Takes the job out of the row of its pending attempt, if that has a copy.
    mutating func takeCopy() {
        guard let task else { return }
        guard let found = task.withUnsafeBufferPointer({ TaskFields($0)?.job }) else { return }
        job = task
        jobRange = found
    }

    /// Whether the job's own metadata has a key with a value, or with one that begins so.
    func has(_ pair: (key: String, value: String, isPrefix: Bool)) -> Bool {
        guard let job else { return false }
        return job.withUnsafeBufferPointer { bytes in
            guard let fields = JobFields(bytes, in: jobRange) else { return false }
            return TextPairs.blob(bytes, fields.metadata(bytes)).withUnsafeBytes { map in
                var key = pair.key
                guard let own = key.withUTF8({ TextPairs.value(of: UnsafeRawBufferPointer($0), in: map) }) else { return false }
                return pair.isPrefix ? own.starts(with: pair.value.utf8) : own.elementsEqual(pair.value.utf8)
            }
        }
    }
}
