package import SiloCore

/// Rows that are not below yet, and keys that are deleted there.
package struct LoggedRows: Sendable {
    package struct Change: Sendable {
        /// Nil: the row is deleted.
        package let value: Bytes?
        package let expiresAt: Timestamp
        /// Neither below nor in an older overlay is there anything of this key.
        let isNew: Bool
    }
    package private(set) var changes = SortedEntries<Change>()
    /// About what it takes up.
    package private(set) var bytes = 0

    private static let entryBytes = 120

    package init() {}

    package var isEmpty: Bool { changes.count == 0 }

    /// - Parameter older: what lies between this overlay and the store below.
    package mutating func apply(_ batch: [Write], above older: LoggedRows?) {
        for write in batch {
            var grown = 0
            changes.change(write.key) { change in
                let before = change
                if let before { grown -= Self.size(write.key, before) }
                change = Self.next(write, before, above: older)
                if let change { grown += Self.size(write.key, change) }
            }
            bytes += grown
        }
    }

    /// What a key has after a write; nil: nothing, for it never was anywhere else.
    private static func next(_ write: Write, _ before: Change?, above older: LoggedRows?) -> Change? {
        guard let value = write.value else {
            return before?.isNew == true ? nil : Change(value: nil, expiresAt: .distantFuture, isNew: false)
        }
        let isNew = before?.isNew ?? (write.isNew && older?.changes[write.key] == nil)
        return Change(value: value, expiresAt: write.expiresAt ?? .distantFuture, isNew: isNew)
    }

    private static func size(_ key: Bytes, _ change: Change) -> Int { entryBytes + key.count + (change.value?.count ?? 0) }
}

/// The overlays over the store below, as they were at one moment.
package struct LoggedRowsView: Sendable {
    package let active: LoggedRows
    /// The one that is on its way below.
    package let frozen: LoggedRows?

    package init(active: LoggedRows, frozen: LoggedRows?) {
        self.active = active
        self.frozen = frozen
    }

    package enum Finding: Equatable {
        case value(Bytes)
        case deleted
        /// Ask below.
        case unknown
    }

    package func find(_ key: Bytes, at now: Timestamp) -> Finding {
        guard let change = active.changes[key] ?? frozen?.changes[key] else { return .unknown }
        guard let value = change.value, change.expiresAt > now else { return .deleted }
        return .value(value)
    }

    /// The key of the `count`th row of a range that the overlays have by themselves; nil: they have fewer.
    func key(ofThe count: Int, from start: Bytes, before end: Bytes, at now: Timestamp) -> Bytes? {
        func isThere(_ change: LoggedRows.Change) -> Bool { change.value != nil && change.expiresAt > now }
        guard let frozen, !frozen.isEmpty else {
            return active.changes.key(ofThe: count, from: start, before: end, where: isThere)
        }
        guard count <= active.changes.count + frozen.changes.count else { return nil }
        var cursor = Cursor(self, from: start)
        var left = count
        while cursor.precedes(end), let entry = cursor.current {
            if isThere(entry.value) { left -= 1 }
            if left == 0 { return entry.key }
            cursor.step()
        }
        return nil
    }

    /// Walks over the changes of both, in order; of one key over the newer.
    struct Cursor {
        private var active: SortedEntries<LoggedRows.Change>.Cursor
        private var frozen: SortedEntries<LoggedRows.Change>.Cursor?
        private(set) var current: SortedEntries<LoggedRows.Change>.Entry?

        init(_ view: LoggedRowsView, from start: Bytes) {
            active = view.active.changes.cursor(from: start)
            if let frozen = view.frozen, !frozen.isEmpty { self.frozen = frozen.changes.cursor(from: start) }
            look()
        }

        /// Whether there is a change before a key.
        func precedes(_ end: Bytes) -> Bool { current?.key.precedes(end) ?? false }

        mutating func step() {
            guard frozen != nil else {
                active.advance()
                return look()
            }
            guard let key = current?.key else { return }
            if active.current?.key == key { active.advance() }
            if frozen?.current?.key == key { frozen?.advance() }
            look()
        }

        private mutating func look() {
            guard let older = frozen?.current else { return current = active.current }
            guard let newer = active.current else { return current = older }
            current = older.key.precedes(newer.key) ? older : newer
        }
    }
}
