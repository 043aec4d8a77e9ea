import SiloCore

/// What of an overlay has to get below, in batches that are bounded.
struct NetRows: Sequence, IteratorProtocol {
    private var entries: SortedEntries<LoggedRows.Change>.Iterator
    private let now: Timestamp
    private let settings: LogSettings

    init(of overlay: LoggedRows, at now: Timestamp, _ settings: LogSettings) {
        entries = overlay.changes.makeIterator()
        self.now = now
        self.settings = settings
    }

    mutating func next() -> [Write]? {
        var batch: [Write] = []
        var bytes = 0
        while batch.count < settings.checkpointRowsMax, bytes < settings.checkpointBytesMax, let entry = entries.next() {
            guard let write = write(entry) else { continue }
            batch.append(write)
            bytes += write.key.count + (write.value?.count ?? 0)
        }
        return batch.isEmpty ? nil : batch
    }

    /// Nil: nothing of the row need be below.
    private func write(_ entry: SortedEntries<LoggedRows.Change>.Entry) -> Write? {
        let change = entry.value
        guard let value = change.value, change.expiresAt > now else {
            if change.value == nil, settings.plants(.dropsTombstones) { return nil }
            // One that has expired hides what it replaced.
            return change.isNew ? nil : Write(key: entry.key, value: nil)
        }
        return Write(key: entry.key, value: value, expiresAt: change.expiresAt == .distantFuture ? nil : change.expiresAt)
    }
}
