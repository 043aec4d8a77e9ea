import SiloCore
import Synchronization

/// The files of a log, as whoever writes them keeps them: the segment that is written to, those before it, and those that are
/// free.
package final class LogWriter: @unchecked Sendable {
    // Safety: only the log's worker touches it, but for what anybody may read.

    /// Files that are not free. For whoever looks.
    let segments = Atomic(0)

    struct Slot: Sendable {
        fileprivate let name: String
        fileprivate let file: any LogFile
        fileprivate let bytes: Int

        /// Writes the file once, whole, so that later syncs need change no more than its content. On any thread.
        func fill() throws(LogDiskError) {
            let piece = Bytes(repeating: 0, count: min(256 << 10, bytes))
            for offset in stride(from: 0, to: bytes, by: piece.count) {
                try file.write(offset + piece.count <= bytes ? piece : Bytes(piece.prefix(bytes - offset)), at: offset)
            }
            try file.sync()
        }
    }
    private struct Segment {
        let slot: Slot
        let header: SegmentHeader
        /// Where the next record begins.
        var end: Int
    }
    private let disk: any LogDisk
    private let log: LogIdentity
    private let settings: LogSettings
    /// Is told by how much the bytes of full segments have changed.
    private let onFullBytes: @Sendable (_ change: Int) -> Void
    private var fullBytes = 0
    /// In order; the last one is written to, if this process has begun it.
    private var live: [Segment] = []
    private var hasBegun = false
    private var free: [Slot] = []
    /// The file that becomes free next, when it has been filled.
    private var preparing: Slot?
    private var lastNumber: UInt64
    private var lastName: Int
    private(set) var lastSequence: UInt64
    private var freeMax = LogWriter.freeMin
    /// Was found when the next segment was prepared.
    private var hasNoSpace = false
    private static let freeMin = 1

    /// - Parameters:
    ///   - names: of all files in the folder.
    ///   - lastSequence: the batch before the first that will be written.
    package init(
        _ disk: any LogDisk, _ log: LogIdentity, names: [String], lastNumber: UInt64, lastSequence: UInt64, settings: LogSettings,
        onFullBytes: @escaping @Sendable (_ change: Int) -> Void
    ) {
        self.disk = disk
        self.log = log
        self.settings = settings
        self.lastNumber = lastNumber
        self.lastSequence = lastSequence
        self.onFullBytes = onFullBytes
        lastName = names.compactMap { Int($0.prefix { $0 != "." }) }.max() ?? 0
    }

    /// Takes over a file that an earlier process left: one to be replayed.
    func adopt(_ header: SegmentHeader, _ name: String, _ file: any LogFile, end: Int) {
        live.append(Segment(slot: Slot(name: name, file: file, bytes: Int(header.fileBytes)), header: header, end: end))
    }

    /// Takes over a file that holds nothing which is needed.
    func adoptFree(_ name: String, _ file: any LogFile, bytes: Int) throws(LogDiskError) {
        let slot = Slot(name: name, file: file, bytes: bytes)
        if bytes == settings.segmentBytes, free.count < freeMax { free.append(slot) } else { try discard(slot) }
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
        try segment.slot.file.write(record, at: segment.end)
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
        let slot = try bytes == settings.segmentBytes ? takeFree() : create(bytes)
        let header = SegmentHeader(log: log, number: lastNumber + 1, firstSequence: lastSequence + 1, fileBytes: UInt64(bytes))
        do {
            try slot.file.write(header.block(), at: 0)
        } catch {
            if slot.bytes == settings.segmentBytes { free.append(slot) } else { try discard(slot) }
            throw error
        }
        if !settings.plants(.headerUnsynced) { try slot.file.sync() }
        lastNumber += 1
        hasNoSpace = false
        hasBegun = true
        live.append(Segment(slot: slot, header: header, end: LogFormat.blockBytes))
        tellFullBytes()
    }

    private func takeFree() throws(LogDiskError) -> Slot {
        if let slot = free.popLast() { return slot }
        let slot = try create(settings.segmentBytes)
        do { try slot.fill() } catch {
            try discard(slot)
            throw error
        }
        return slot
    }

    /// Whether the next segment should be made ready, as there is none and this one is half full.
    var wantsPreparing: Bool {
        guard hasBegun, free.isEmpty, preparing == nil, !hasNoSpace, let segment = live.last else { return false }
        return segment.end >= segment.slot.bytes / 2
    }

    /// Makes the next segment's file, which somebody else fills.
    func beginPreparing() throws(LogDiskError) -> Slot {
        let slot = try create(settings.segmentBytes)
        preparing = slot
        return slot
    }

    /// - Parameter failure: why it could not be filled.
    /// - Returns: whether segments should be freed, as there is no space for another.
    func endPreparing(_ failure: LogDiskError?) throws(LogDiskError) -> Bool {
        guard let slot = preparing else { return false }
        preparing = nil
        guard let failure else {
            free.append(slot)
            return false
        }
        try discard(slot)
        guard case .noSpace = failure else { throw failure }
        hasNoSpace = true
        return true
    }

    private func create(_ bytes: Int) throws(LogDiskError) -> Slot {
        lastName += 1
        let digits = String(lastName)
        let name = String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".log"
        let file = try disk.open(name, creating: true)
        if !settings.plants(.skipsFolderSync) { try disk.sync() }
        return Slot(name: name, file: file, bytes: bytes)
    }

    // MARK: Freeing

    /// Frees the segments of which everything is below, which is complete up to `sequence`.
    func free(through sequence: UInt64) throws(LogDiskError) {
        let base = live.lastIndex { $0.header.firstSequence <= sequence + 1 } ?? 0
        let freed = live.prefix(settings.plants(.freesTooMuch) ? min(base + 1, live.count - 1) : base)
        guard !freed.isEmpty else { return }
        live.removeFirst(freed.count)
        // As many as were filled between two checkpoints are filled again.
        freeMax = max(Self.freeMin, freed.count)
        for segment in freed { try adoptFree(segment.slot.name, segment.slot.file, bytes: segment.slot.bytes) }
        try discardSurplus()
        tellFullBytes()
    }

    /// A while has passed: what a peak needed is given back, half of it at a time.
    func trim() throws(LogDiskError) {
        freeMax = max(Self.freeMin, freeMax / 2)
        try discardSurplus()
    }

    private func discardSurplus() throws(LogDiskError) {
        while free.count > freeMax { try discard(free.removeLast()) }
    }

    private func discard(_ slot: Slot) throws(LogDiskError) {
        slot.file.close()
        try disk.remove(slot.name)
    }

    var liveCount: Int { live.count }

    private func tellFullBytes() {
        segments.store(live.count, ordering: .relaxed)
        let bytes = live.dropLast(hasBegun ? 1 : 0).reduce(0) { $0 + $1.slot.bytes }
        defer { fullBytes = bytes }
        if bytes != fullBytes { onFullBytes(bytes - fullBytes) }
    }

    // MARK: Closing

    func close() {
        for slot in slots { slot.file.close() }
        (live, free, preparing) = ([], [], nil)
    }

    /// Removes every file: all is below.
    func removeAll() throws(LogDiskError) {
        let slots = slots
        (live, free, preparing) = ([], [], nil)
        for slot in slots { try discard(slot) }
        try disk.sync()
    }

    private var slots: [Slot] { live.map(\.slot) + free + [preparing].compactMap { $0 } }
}
