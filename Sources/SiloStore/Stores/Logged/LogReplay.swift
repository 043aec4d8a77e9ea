import SiloCore

/// Brings what is in a log and not below into memory. What does not fit there goes below at once, so that a replay takes up
/// hardly more than writing did: a part that is not worth a file stays in memory, whoever filled that, and while the clock keeps
/// everything from going below, so does as much as could be written meanwhile.
struct LogReplay {
    private let files: LogFiles
    private let below: any KeyValueStore
    private let place: LogPlace
    private let account: LogAccount
    /// Before it began.
    private let first: LogPosition?

    /// What the store below says.
    private(set) var position: LogPosition?
    private(set) var overlay = LoggedRows()
    private var batches = 0
    private var bytes = 0
    /// Of them, what came when this log alone had filled memory.
    private var overdraft = 0

    init(_ files: LogFiles, over below: any KeyValueStore, _ place: LogPlace, _ account: LogAccount, _ position: LogPosition?) {
        self.files = files
        self.below = below
        self.place = place
        self.account = account
        first = position
        self.position = position
    }

    /// Nothing of the log is needed: the data is whole without it, or all of it is.
    var isEmpty: Bool {
        overlay.isEmpty && position == first && first?.isWhole ?? true && files.last == first?.sequence ?? 0
    }

    func run() async throws(StoreError) -> LogReplay {
        var replay = self
        let start = first?.sequence ?? 0
        for index in 0..<files.segmentCount {
            for record in try await read(index, after: start) {
                for (batch, sequence) in zip(record.batches, record.firstSequence...) where sequence > start {
                    replay.apply(batch, sequence)
                    if account.budget.isFullOfRows(of: account.member) { try await replay.makeRoom(through: sequence) }
                }
            }
        }
        if replay.batches > 0 { place.onEvent(.replayed(batches: replay.batches, bytes: replay.bytes)) }
        return replay
    }

    private func read(
        _ index: Int, after start: UInt64
    ) async throws(StoreError) -> [(firstSequence: UInt64, batches: [[Write]])] {
        let records = try await place.worker.perform { [files] () throws(StoreError) in
            try files.records(of: index, after: start)
        }
        guard let records else { throw .unavailable("the log's worker has ended") }
        return records
    }

    private mutating func apply(_ batch: [Write], _ sequence: UInt64) {
        let before = overlay.bytes
        // What a checkpoint had begun to move may be below: whoever deletes it has to say so there.
        let mayBeBelow = sequence <= first?.begun ?? 0
        overlay.apply(
            mayBeBelow ? batch.map { Write(key: $0.key, value: $0.value, expiresAt: $0.expiresAt) } : batch, above: nil)
        account.change(overlayBytes: overlay.bytes - before)
        batches += 1
        let batchBytes = batch.reduce(0) { $0 + $1.key.count + ($1.value?.count ?? 0) }
        bytes += batchBytes
        if before >= account.budget.overlayBytesMax { overdraft += batchBytes }
    }

    private mutating func makeRoom(through sequence: UInt64) async throws(StoreError) {
        guard let lag = below.clockLag else { return try await moveBelow(through: sequence) }
        if overdraft > place.settings.overdraftBytesMax { throw .behind(lag) }
    }

    private mutating func moveBelow(through sequence: UInt64) async throws(StoreError) {
        guard let log = files.log else { return }
        if position == first { try await place.worker.perform { [files] () throws(StoreError) in try files.secure() } }
        let begun = LogPosition(
            logID: log.id, sequence: position?.sequence ?? 0, begun: max(sequence, first?.begun ?? 0), isWhole: false,
            after: position.flatMap { $0.logID == log.id ? $0.previousID : $0.logID })
        place.settings.comes(.begin)
        try await below.write([begun.write])
        // Before any row of it is below, it is known there that the data is not whole without the log.
        if position?.isWhole ?? true { try await below.flush() }
        for batch in NetRows(of: overlay, at: place.environment.clock.now, place.settings) {
            place.settings.comes(.moveReplayed)
            try await below.write(batch)
        }
        let moved = LogPosition(
            logID: log.id, sequence: sequence, begun: begun.begun, isWhole: false, after: begun.previousID)
        try await below.write([moved.write])
        try await below.flush()
        account.change(overlayBytes: -overlay.bytes)
        position = moved
        overlay = LoggedRows()
    }
}
