import SiloCore
import Synchronization

/// The files of a log, as whoever writes them keeps them: the segment that is written to, those before it, and those that are
/// free.
package final class LogWriter: @unchecked Sendable {
    // Safety: only the log's worker touches it, but for what anybody may read.

    /// Files that are not free. For whoever looks.
    let segments = Atomic(0)

    private struct Segment {
        let slot: LogSlot
        let header: SegmentHeader
        /// Where the next record begins.
        var end: Int
    }
    private let disk: any LogDisk
    private let log: LogIdentity
    private let settings: LogSettings
    private let account: LogAccount
    /// Of full segments, as the account has them.
    private var fullBytes = 0
    /// In order; the last one is written to, if this process has begun it.
    private var live: [Segment] = []
    private var hasBegun = false
    /// The account has these, and the next one, as spare.
    private var free: [LogSlot] = []
    /// The file that becomes free next, when it has been filled.
    private var preparing: LogSlot?
    private var lastNumber: UInt64
    private var lastName: Int
    private(set) var lastSequence: UInt64
    private var freeMax = LogWriter.freeMin
    /// Was found when a segment was wanted, or prepared.
    private var hasNoSpace = false
    private static let freeMin = 1

    /// - Parameters:
    ///   - names: of all files in the folder.
    ///   - lastSequence: the batch before the first that will be written.
    init(
        _ disk: any LogDisk, _ log: LogIdentity, names: [String], lastNumber: UInt64, lastSequence: UInt64, settings: LogSettings,
        account: LogAccount
    ) {
        self.disk = disk
        self.log = log
        self.settings = settings
        self.lastNumber = lastNumber
        self.lastSequence = lastSequence
        self.account = account
        lastName = names.compactMap { Int($0.prefix { $0 != "." }) }.max() ?? 0
    }

    /// Takes over a file that an earlier process left: one to be replayed.
    func adopt(_ header: SegmentHeader, _ name: String, _ file: any LogFile, end: Int) {
        live.append(Segment(slot: LogSlot(name: name, file: file, bytes: Int(header.fileBytes)), header: header, end: end))
    }

    /// Takes over a file that holds nothing which is needed.
    func adoptFree(_ name: String, _ file: any LogFile, bytes: Int) throws(LogDiskError) {
        try keep(LogSlot(name: name, file: file, bytes: bytes))
    }

    private func keep(_ slot: LogSlot) throws(LogDiskError) {
        settings.comes(.recycle)
        if slot.bytes == settings.segmentBytes, free.count < freeMax, account.keepSpare(bytes: slot.bytes) {
            free.append(slot)
        } else {
            try discard(slot)
        }
    }

    // MARK: Appending

    /// Batches on their way into the log, in order.
    struct Pending {
        var firstSequence: UInt64
        var batches: ArraySlice<Bytes>

        mutating func removeFirst(_ count: Int) {
            batches.removeFirst(count)
            firstSequence += UInt64(count)
        }
    }

    /// Writes and syncs `pending`, and takes from it what is on the disk.
    /// - Throws: `.noSpace` when a segment is needed and cannot be had: it may be called again. After anything else the log is
    ///   not to be
    ///   used any more.
    func append(_ pending: inout Pending) throws(LogDiskError) {
        while !pending.batches.isEmpty {
            let count = hasBegun ? countThatFits(pending.batches) : 0
            guard count > 0 else {
                try roll(for: pending.batches.first?.count ?? 0)
                continue
            }
            try write(pending.batches.prefix(count), pending.firstSequence)
            pending.removeFirst(count)
            lastSequence = pending.firstSequence - 1
        }
    }

    private func write(_ batches: ArraySlice<Bytes>, _ firstSequence: UInt64) throws(LogDiskError) {
        let index = live.count - 1
        let segment = live[index]
        let record = LogRecord.block(batches, firstSequence: firstSequence, seed: settings.seed(of: segment.header))
        settings.comes(.append)
        try segment.slot.file.write(record, at: segment.end)
        settings.comes(.syncRecord)
        if !settings.plants(.answersBeforeSync) { try sync(segment.slot.file) }
        live[index].end += record.count
    }

    private func sync(_ file: any LogFile) throws(LogDiskError) {
        do { try file.sync() } catch {
            guard settings.plants(.repeatsFailedSync) else { throw error }
            try file.sync()
        }
    }

    private func countThatFits(_ batches: ArraySlice<Bytes>) -> Int {
        guard let segment = live.last else { return 0 }
        let room = segment.slot.bytes - segment.end - LogFormat.recordHeaderBytes
        var (count, bytes) = (0, 0)
        for batch in batches {
            bytes += batch.count
            guard bytes <= min(room, Int(UInt32.max)) else { break }
            count += 1
        }
        return count
    }

    // MARK: Segments

    /// Begins the next segment. Everything before it is on the disk.
    /// - Parameter batchBytes: of the batch that must fit; one that is larger than a segment gets a file of its own size.
    func roll(for batchBytes: Int) throws(LogDiskError) {
        let bytes = max(settings.segmentBytes, LogFormat.blockBytes + LogFormat.blocks(batchBytes))
        let slot: LogSlot
        do { slot = try bytes == settings.segmentBytes ? takeFree() : create(bytes) } catch {
            if case .noSpace = error { hasNoSpace = true }
            throw error
        }
        let header = SegmentHeader(log: log, number: lastNumber + 1, firstSequence: lastSequence + 1, fileBytes: UInt64(bytes))
        settings.comes(.writeHeader)
        do {
            try slot.file.write(header.block(), at: 0)
        } catch {
            if case .noSpace = error { hasNoSpace = true }
            try keep(slot)
            throw error
        }
        settings.comes(.syncHeader)
        if !settings.plants(.headerUnsynced) { try slot.file.sync() }
        lastNumber += 1
        hasNoSpace = false
        hasBegun = true
        live.append(Segment(slot: slot, header: header, end: LogFormat.blockBytes))
        tellFullBytes()
    }

    /// Makes sure that there is a segment to write to.
    /// - Throws: `.noSpace` when it cannot be had.
    func begin() throws(LogDiskError) {
        if !hasBegun { try roll(for: 0) }
    }

    private func takeFree() throws(LogDiskError) -> LogSlot {
        if let slot = popFree() { return slot }
        let slot = try create(settings.segmentBytes)
        settings.comes(.fillFile)
        do { try slot.fill() } catch {
            try discard(slot)
            throw error
        }
        return slot
    }

    private func popFree() -> LogSlot? {
        guard let slot = free.popLast() else { return nil }
        account.giveSpare(bytes: slot.bytes)
        return slot
    }

    /// The next segment is soon needed, and there is none.
    private var needsNext: Bool {
        guard free.isEmpty else { return false }
        guard hasBegun, let segment = live.last else { return true }
        return segment.end >= segment.slot.bytes / 2
    }

    /// There was no space for the next segment when it was last tried, and it is soon needed.
    var isShort: Bool { hasNoSpace && needsNext }

    /// Whether the next segment should be made ready.
    var wantsPreparing: Bool { mayPrepare && !hasNoSpace }

    /// The same, though there was no space for it.
    var mayPrepare: Bool { hasBegun && needsNext && preparing == nil }

    /// Makes the next segment's file, which somebody else fills.
    /// - Returns: nil: no more may be kept for later.
    /// - Throws: `.noSpace` when it cannot be had.
    func beginPreparing() throws(LogDiskError) -> LogSlot? {
        guard account.keepSpare(bytes: settings.segmentBytes) else {
            // It is found out when it is needed.
            hasNoSpace = false
            return nil
        }
        do {
            let slot = try create(settings.segmentBytes)
            preparing = slot
            return slot
        } catch {
            account.giveSpare(bytes: settings.segmentBytes)
            if case .noSpace = error { hasNoSpace = true }
            throw error
        }
    }

    /// - Parameter failure: why it could not be filled. Nobody needs that file: it is removed, and another is made in its place
    ///   by and by.
    /// - Throws: `.noSpace` when that was why.
    func endPreparing(_ failure: LogDiskError?) throws(LogDiskError) {
        guard let slot = preparing else { return }
        preparing = nil
        guard let failure else {
            hasNoSpace = false
            free.append(slot)
            return
        }
        account.giveSpare(bytes: slot.bytes)
        try discard(slot)
        guard case .noSpace = failure else { return }
        hasNoSpace = true
        throw failure
    }

    private func create(_ bytes: Int) throws(LogDiskError) -> LogSlot {
        settings.comes(.createFile)
        lastName += 1
        let digits = String(lastName)
        let name = String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".log"
        let file = try disk.open(name, creating: true)
        if !settings.plants(.skipsFolderSync) { try disk.sync() }
        return LogSlot(name: name, file: file, bytes: bytes)
    }

    // MARK: Freeing

    /// Frees the segments of which everything is below, which is complete up to `sequence`.
    func free(through sequence: UInt64) throws(LogDiskError) {
        settings.comes(.freeSegments)
        let base = live.lastIndex { $0.header.firstSequence <= sequence + 1 } ?? 0
        let freed = live.prefix(settings.plants(.freesTooMuch) ? min(base + 1, live.count - 1) : base)
        guard !freed.isEmpty else { return }
        live.removeFirst(freed.count)
        // As many as were filled between two checkpoints are filled again.
        freeMax = max(Self.freeMin, freed.count)
        for segment in freed { try keep(segment.slot) }
        try discardSurplus()
        tellFullBytes()
    }

    /// A while has passed: what a peak needed is given back, half of it at a time.
    func trim() throws(LogDiskError) {
        freeMax = max(Self.freeMin, freeMax / 2)
        try discardSurplus()
    }

    private func discardSurplus() throws(LogDiskError) {
        while free.count > freeMax, let slot = popFree() { try discard(slot) }
    }

    private func discard(_ slot: LogSlot) throws(LogDiskError) {
        settings.comes(.discard)
        slot.file.close()
        try disk.remove(slot.name)
    }

    var liveCount: Int { live.count }

    private func tellFullBytes() {
        segments.store(live.count, ordering: .relaxed)
        let bytes = live.dropLast(hasBegun ? 1 : 0).reduce(0) { $0 + $1.slot.bytes }
        defer { fullBytes = bytes }
        if bytes != fullBytes { account.change(logBytes: bytes - fullBytes) }
    }

    // MARK: Closing

    func close() {
        for slot in slots { slot.file.close() }
        (live, free, preparing) = ([], [], nil)
    }

    /// Removes every file: all is below.
    func removeAll() throws(LogDiskError) {
        settings.comes(.removeLog)
        let slots = slots
        (live, free, preparing) = ([], [], nil)
        for slot in slots { try discard(slot) }
        try disk.sync()
    }

    private var slots: [LogSlot] { live.map(\.slot) + free + [preparing].compactMap { $0 } }
}
