import SiloCore
import SiloStore

/// The rows that one batch changes, over those that are stored: reads see what the batch has changed so far.
///
/// It knows keys and values only. Each key occurs once in the batch, where it was first written.
final class Overlay {
    private let store: any StoreReader
    private var writes: [Write] = []
    /// Moves with each change.
    private(set) var changes = 0
    /// Where in `writes` a key stands.
    private var places: [RowKey: Int] = [:]
    /// What is known of the store before it is asked.
    private var ahead: [RowKey: Known] = [:]

    private enum Known {
        case value(Bytes?)
        /// It is there, with whatever content.
        case presence
    }

    /// What is read before it is asked for, and how many scans there had been when it was begun.
    private var scansAhead: [(scan: ScanAhead, begun: Int)] = []
    private static let scansAheadMax = 8
    /// One that was not wanted among so many is not wanted any more.
    private static let scansMax = 256
    private var scans = 0
    private var foundAhead = false
    private let executor: (any TaskExecutor)?

    /// - Parameter executor: where reads ahead run.
    init(over store: any StoreReader, executor: (any TaskExecutor)? = nil) {
        self.store = store
        self.executor = executor
    }

    // MARK: Reading

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        let place = RowKey(bytes: key)
        if let place = places[place] { return writes[place].value }
        if case .value(let value) = ahead[place] { return value }
        return try await store.get(key)
    }

    /// Whether the row is there though its content has not been read.
    func isPresumed(_ key: Bytes) -> Bool {
        let place = RowKey(bytes: key)
        guard places[place] == nil, case .presence = ahead[place] else { return false }
        return true
    }

    /// Takes note of what is known without a read: until the batch is taken, the store has such a row, or has none.
    func presume(_ key: Bytes, isThere: Bool) {
        ahead[RowKey(bytes: key)] = isThere ? .presence : .value(nil)
    }

    /// Reads rows side by side, so that `get` has them at hand until the batch is taken. The shard's loop is the only one that
    /// writes, so what the store has stays as it is for so long.
    func readAhead(_ keys: [Bytes]) async throws(StoreError) {
        let values = try await store.gets(keys)
        for (key, value) in zip(keys, values) { ahead[RowKey(bytes: key)] = .value(value) }
    }

    /// The same for keys in their order, with few others between the first and the last: they are read as one range. Where it has
    /// more than `limit` rows or `bytesMax` bytes, the last keys are left.
    func readAhead(through keys: [Bytes], limit: Int, bytesMax: Int) async throws(StoreError) {
        guard let first = keys.first, let last = keys.last else { return }
        let page = try await store.page(from: first, to: last + [0], limit: limit, bytesMax: bytesMax)
        let found = Dictionary(page.rows.map { (RowKey(bytes: $0.key), $0.value) }, uniquingKeysWith: { $1 })
        let end = page.hasMore ? page.rows.last?.key : last
        guard let end else { return }
        for key in keys where !end.lexicographicallyPrecedes(key) {
            let place = RowKey(bytes: key)
            ahead[place] = .value(found[place])
        }
    }

    /// The first rows of a range, in key order, and the key to go on from; nil when there are no more.
    /// - Parameter merging: what the batch changed counts. Without it the batch must not have touched the range.
    func scan(
        from start: Bytes, to end: Bytes, limit: Int, merging: Bool = true
    ) async throws(StoreError) -> (rows: [Row], next: Bytes?) {
        let (stored, next) = try await stored(from: start, to: end, limit: limit)
        guard merging, !writes.isEmpty else { return (stored, next) }
        return (merged(stored, from: start, to: next ?? end), next)
    }

    private func stored(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> (rows: [Row], next: Bytes?) {
        scans += 1
        if let index = scansAhead.firstIndex(where: { $0.scan.covers(start) }) {
            let ahead = scansAhead.remove(at: index).scan
            if let found = try await ahead.rows(from: start, to: end, limit: limit) {
                foundAhead = true
                return found
            }
        }
        let rows = try await store.scan(from: start, to: end, limit: limit)
        return (rows, rows.count == limit ? rows.last.map { $0.key + [0] } : nil)
    }

    /// Begins to read rows that a scan will want, so that it finds them there: batches go on meanwhile. Does nothing when enough
    /// is being read.
    /// - Parameter budget: what they take up counts for it until then.
    func beginScan(from start: Bytes, to end: Bytes, limit: Int, budget: MemoryBudget) {
        scansAhead.removeAll { scans - $0.begun > Self.scansMax }
        guard scansAhead.count < Self.scansAheadMax, !scansAhead.contains(where: { $0.scan.begins(at: start) }) else { return }
        let scan = ScanAhead(of: store, from: start, to: end, limit: limit, budget: budget, on: executor)
        scansAhead.append((scan, scans))
    }

    /// Whether a scan found what was read ahead, since the last call.
    func takeFoundAhead() -> Bool {
        defer { foundAhead = false }
        return foundAhead
    }

    private func merged(_ stored: [Row], from start: Bytes, to end: Bytes) -> [Row] {
        var rows = Dictionary(stored.map { ($0.key, $0.value) }, uniquingKeysWith: { $1 })
        for write in writes where !write.key.lexicographicallyPrecedes(start) && write.key.lexicographicallyPrecedes(end) {
            rows[write.key] = write.value
        }
        return rows.map { Row(key: $0.key, value: $0.value) }.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    // MARK: Changing

    /// - Parameter expiresAt: when the store drops the row; nil: never.
    func put(_ key: Bytes, _ value: Bytes, expiresAt: Timestamp? = nil) {
        add(Write(key: key, value: value, expiresAt: expiresAt))
    }

    /// Puts a row where none is: when it is deleted soon, the store need never have it.
    func insert(_ key: Bytes, _ value: Bytes, expiresAt: Timestamp? = nil) {
        add(Write(key: key, value: value, expiresAt: expiresAt, isNew: true))
    }

    func delete(_ key: Bytes) {
        add(Write(key: key, value: nil))
    }

    private func add(_ write: Write) {
        changes += 1
        let next = writes.count
        // One search, for a key that is new as for one that is not.
        let place = Self.read(&places[RowKey(bytes: write.key), default: next])
        guard place < next else { return writes.append(write) }
        // Whether the store has the row was said when its key was first written.
        writes[place] = Write(key: write.key, value: write.value, expiresAt: write.expiresAt, isNew: writes[place].isNew)
    }

    private static func read(_ place: inout Int) -> Int { place }

    /// Lets what was read ahead go, when memory is wanted for something else.
    func forgetScans() { scansAhead = [] }

    /// All changes of the batch, in the order in which their keys were first changed, without rows that came and went in it. The
    /// next batch begins empty.
    func takeBatch() -> [Write] {
        defer {
            writes = []
            places.removeAll(keepingCapacity: true)
            if !ahead.isEmpty { ahead = [:] }
        }
        let cameAndWent: (Write) -> Bool = { $0.value == nil && $0.isNew }
        return writes.contains(where: cameAndWent) ? writes.filter { !cameAndWent($0) } : writes
    }

    /// All that the loop writes, just before it does.
    func note(written batch: [Write]) {
        guard !scansAhead.isEmpty else { return }
        for ahead in scansAhead { ahead.scan.note(batch) }
        scansAhead.removeAll { $0.scan.isOutdated }
    }
}

/// A key, hashed and compared at once and not byte by byte.
private struct RowKey: Hashable {
    let bytes: Bytes

    func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}
