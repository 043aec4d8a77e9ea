import SiloCore
import SiloStore
import Synchronization

/// An index of finished jobs, in the order in which they go.
enum RetainedIndex: Hashable {
    /// Tenants whose jobs ended so, by period.
    case ended(Slice, UInt8)
    /// Jobs that say themselves how long they are kept.
    case keptUntil(Slice)

    static let succeeded = UInt8(StorageV1.JobState.succeeded.rawValue)
    private static let states = [StorageV1.JobState.succeeded, .failed, .cancelled].map { UInt8($0.rawValue) }

    static func all(of slice: Slice) -> [RetainedIndex] { [.keptUntil(slice)] + states.map { .ended(slice, $0) } }

    var range: (start: Bytes, end: Bytes) {
        switch self {
        case .ended(let slice, let state): slice.periods(state)
        case .keptUntil(let slice): slice.keptUntil
        }
    }

    /// When what a row of it lists is due, but for the time that the settings add.
    func due(_ key: Bytes) -> Timestamp? {
        switch self {
        case .ended: RetainedKeys.parsePeriod(key)?.period.last
        case .keptUntil: RetainedKeys.parseKeptUntil(key)?.until
        }
    }
}

/// Where in the indexes of finished jobs the next one is that goes. The shard's loop says what came, once it is written; whoever
/// sweeps says what is gone. So nobody reads an index in which nothing is due, nor walks over what was deleted there.
final class RetainedBoard: Sendable {
    private struct Place {
        /// There is no row before this key.
        var from: Bytes
        /// Nothing is due before.
        var due: Timestamp

        mutating func note(_ key: Bytes, _ due: Timestamp) {
            if key.lexicographicallyPrecedes(from) { from = key }
            self.due = min(self.due, due)
        }
    }
    /// An index that is not named was not read yet.
    private let places = Mutex<[RetainedIndex: Place]>([:])

    /// Rows that have been written.
    func came(_ rows: [RetainedNotes.Row]) {
        guard !rows.isEmpty else { return }
        places.withLock { places in
            for row in rows { places[row.index]?.note(row.key, row.due) }
        }
    }

    /// Somebody reads an index, if something may be due there by `horizon`, and tells what is left with `found`.
    /// - Returns: where to begin; nil: nothing is due.
    func begin(_ index: RetainedIndex, _ horizon: Timestamp) -> Bytes? {
        places.withLock { places in
            let range = index.range
            let place = places[index] ?? Place(from: range.start, due: Timestamp(.min))
            guard place.due <= horizon else { return nil }
            places[index] = Place(from: range.end, due: .distantFuture)
            return place.from
        }
    }

    /// What was not due, or all that is left.
    func found(_ index: RetainedIndex, _ key: Bytes, due: Timestamp) {
        places.withLock { $0[index]?.note(key, due) }
    }

    /// The reading of it was broken off.
    func forget(_ index: RetainedIndex) { places.withLock { $0[index] = nil } }
}

/// What the loop notes of finished jobs for those who sweep. Only the loop touches it.
struct RetainedNotes {
    struct Row {
        let index: RetainedIndex
        let key: Bytes
        let due: Timestamp
    }
    /// Of the batch that is being made.
    private var rows: [Row] = []
    /// The latest period of each state of which a row was deleted.
    private var swept: [UInt8: FinishedPeriod] = [:]
    /// How far the sweep of a range has come.
    private(set) var cursor: Cursor?
    struct Cursor {
        let start: Bytes
        /// Everything before it is gone, or stays.
        let next: Bytes
    }

    mutating func note(_ index: RetainedIndex, _ key: Bytes, due: Timestamp) {
        rows.append(Row(index: index, key: key, due: due))
    }

    mutating func take() -> [Row] {
        defer { rows = [] }
        return rows
    }

    /// A row came that a sweep may have passed already, which then begins anew.
    mutating func came(_ key: Bytes) {
        guard let cursor, key.lexicographicallyPrecedes(cursor.next), !key.lexicographicallyPrecedes(cursor.start) else { return }
        self.cursor = nil
    }

    mutating func sweepStands(_ start: Bytes, at next: Bytes?) { cursor = next.map { Cursor(start: start, next: $0) } }

    mutating func didSweep(_ period: FinishedPeriod, _ state: UInt8) {
        guard swept[state].map({ $0.number < period.number }) ?? true else { return }
        swept[state] = period
    }

    /// Whether the row of such a period may have been deleted since a queue wrote it.
    func mayHaveSwept(_ period: FinishedPeriod, _ state: UInt8) -> Bool {
        swept.isEmpty ? false : swept[state].map { period.number <= $0.number } ?? false
    }
}
