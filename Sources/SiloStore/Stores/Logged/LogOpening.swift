import SiloCore
import Synchronization

extension LoggedStore {
    /// Opens the log at `place` over `below`, which is closed when it throws. What the log holds that is not below is in memory
    /// then.
    /// - Throws: `.corrupt` when the log is damaged, is missing, or is another store's: nothing was changed then. `.fenced` when
    ///   somebody
    ///   has it.
    package static func open(
        _ below: any KeyValueStore, _ place: LogPlace, _ budget: LogBudget
    ) async throws(StoreError) -> LoggedStore {
        do throws(StoreError) {
            let store = try await LogOpening(below: below, place: place, budget: budget).open()
            store.start()
            return store
        } catch {
            place.worker.run { place.disk.close() }
            place.worker.end()
            try? await below.close()
            throw error
        }
    }
}

extension KeyValueStore {
    /// Makes sure that nothing of the store is in a log above it, for whoever opens it without one.
    package func requireWhole(_ name: String) async throws(StoreError) {
        guard let bytes = try await get(LogPosition.key), LogPosition(bytes)?.isWhole != true else { return }
        throw .corrupt("the log of \(name) is on the local disk of the machine that served it last, and was not closed there")
    }
}

/// The steps from a log's folder to a store.
private struct LogOpening {
    let below: any KeyValueStore
    let place: LogPlace
    let budget: LogBudget

    func open() async throws(StoreError) -> LoggedStore {
        let position = try await storedPosition()
        let bell = CheckpointBell()
        let member = budget.join { bell.ring() }
        do throws(StoreError) {
            let (writer, log, state) = try await place.worker.perform { () throws(StoreError) in
                try prepare(position, member)
            }
            budget.change(member, overlayBytes: state.overlayBytes)
            try await mark(log, position)
            // Openings that follow each other without a checkpoint must not fill the disk.
            if writer.liveCount > Self.liveMax { bell.ring() }
            return LoggedStore(state, over: below, place, writer, log, budget, member: member, bell: bell)
        } catch {
            budget.leave(member)
            throw error
        }
    }

    private static let liveMax = 3

    private func storedPosition() async throws(StoreError) -> LogPosition? {
        guard let bytes = try await below.get(LogPosition.key) else { return nil }
        guard let position = LogPosition(bytes) else {
            throw .corrupt("the data of \(place.name) was written by a newer program")
        }
        return position
    }

    /// Notes below that the data is not whole without this log from now on. It is there already, with nothing in it.
    private func mark(_ log: LogIdentity, _ position: LogPosition?) async throws(StoreError) {
        guard position.map(\.isWhole) ?? true else { return }
        if let lag = below.clockLag {
            // The log itself says so, as long as it is where the data is.
            guard place.isParted else { return }
            throw .behind(lag)
        }
        let marked = LogPosition(logID: log.id, sequence: position?.sequence ?? 0, isWhole: false)
        try await below.write([Write(key: LogPosition.key, value: marked.bytes)])
        try await below.flush()
    }

    // MARK: On the log's worker

    /// A file of the folder, open.
    private struct Found {
        let file: LogPlan.File
        let handle: any LogFile
    }

    private func prepare(_ position: LogPosition?, _ member: Int) throws(StoreError) -> (LogWriter, LogIdentity, LoggedState) {
        let names = try translating { () throws(LogDiskError) in try place.disk.names() }.filter { $0.hasSuffix(".log") }
        var found: [String: Found] = [:]
        for name in names { found[name] = try look(name) }
        let plan = try LogPlan(names.compactMap { found[$0]?.file }, name: place.name, position: position)
        let (contents, overlay, replayed) = try replay(plan, found, position)
        let last = try plan.verify(contents, position: position) { number, sequences throws(StoreError) in
            guard let log = plan.log else { return false }
            for file in plan.unreadable {
                guard let found = found[file.name] else { continue }
                let bytes = try translating { () throws(LogDiskError) in try found.handle.read(at: 0, file.bytes) }
                if SegmentContent.holdsRecord(of: log, number: number, sequences: sequences, bytes) { return true }
            }
            return false
        }
        if replayed.batches > 0 { place.onEvent(.replayed(batches: replayed.batches, bytes: replayed.bytes)) }
        if let segment = plan.live.last, let content = contents.last, content.hasUnfinishedRecord {
            place.onEvent(.passedOver(file: segment.file, offset: content.end))
        }
        // An empty log beside whole data is begun anew, under a name of its own.
        let isEmpty = overlay.isEmpty && position?.isWhole ?? true && last == position?.sequence ?? 0
        return try translating { () throws(LogDiskError) in
            let kept = isEmpty ? nil : plan.log
            if isEmpty { try removeAll(found) }
            let log = kept ?? LogIdentity(id: place.environment.random.next(), name: place.name)
            let writer = LogWriter(
                place.disk, log, names: isEmpty ? [] : names, lastNumber: kept == nil ? 0 : plan.lastNumber, lastSequence: last,
                settings: place.settings, onFullBytes: { [budget] in budget.change(member, logBytes: $0) }
            )
            if !isEmpty { try hand(over: plan, contents, found, to: writer) }
            try begin(writer, mustBegin: isEmpty)
            return (writer, log, LoggedState(overlay: overlay, lastSequence: last))
        }
    }

    /// What is in a log can be read without space for more.
    private func begin(_ writer: LogWriter, mustBegin: Bool) throws(LogDiskError) {
        do throws(LogDiskError) { try writer.roll(for: 0) } catch .noSpace(let text) {
            guard !mustBegin else { throw .noSpace(text) }
            place.onEvent(.noSpace(text))
        }
    }

    private func look(_ name: String) throws(StoreError) -> Found {
        let (handle, bytes, block) = try translating { () throws(LogDiskError) in
            let handle = try place.disk.open(name, creating: false)
            return (handle, try handle.size(), try handle.read(at: 0, LogFormat.blockBytes))
        }
        switch SegmentHeader.read(block) {
        case .header(let header): return Found(file: .init(name: name, bytes: bytes, header: header), handle: handle)
        case .none: return Found(file: .init(name: name, bytes: bytes, header: nil), handle: handle)
        case .newer(let format):
            throw .corrupt("the log of \(place.name) has format \(format), which this program is too old for")
        }
    }

    private func replay(
        _ plan: LogPlan, _ found: [String: Found], _ position: LogPosition?
    ) throws(StoreError) -> ([SegmentContent], LoggedRows, (batches: Int, bytes: Int)) {
        var contents: [SegmentContent] = []
        var overlay = LoggedRows()
        var (count, size) = (0, 0)
        for segment in plan.live {
            guard let found = found[segment.file] else { continue }
            let bytes = try translating { () throws(LogDiskError) in try found.handle.read(at: 0, found.file.bytes) }
            let content = SegmentContent(of: segment.header, bytes, place.settings)
            for record in content.records where record.lastSequence > position?.sequence ?? 0 {
                guard let batches = BatchCoding.decode(bytes[record.content], batches: record.batches) else {
                    throw .corrupt("the log of \(place.name) holds a record that cannot be read, in file \(segment.file)")
                }
                for (batch, sequence) in zip(batches, record.firstSequence...) where sequence > position?.sequence ?? 0 {
                    overlay.apply(batch, above: nil)
                    count += 1
                }
                size += record.content.count
            }
            contents.append(content)
        }
        return (contents, overlay, (count, size))
    }

    private func removeAll(_ found: [String: Found]) throws(LogDiskError) {
        for (name, found) in found.sorted(by: { $0.key < $1.key }) {
            found.handle.close()
            try place.disk.remove(name)
        }
        if !found.isEmpty { try place.disk.sync() }
    }

    private func hand(
        over plan: LogPlan, _ contents: [SegmentContent], _ found: [String: Found], to writer: LogWriter
    ) throws(LogDiskError) {
        for (segment, content) in zip(plan.live, contents) {
            guard let found = found[segment.file] else { continue }
            if segment == plan.live.last { try secure(segment, content, found.handle) }
            writer.adopt(segment.header, segment.file, found.handle, end: content.end)
        }
        for file in plan.free + plan.unreadable {
            guard let found = found[file.name] else { continue }
            try writer.adoptFree(file.name, found.handle, bytes: file.bytes)
        }
    }
}

extension LogOpening {
    /// Makes durable what was read last: it may be in the system's memory only, and after a sync that failed the system takes it
    /// for written. So it is written again.
    private func secure(_ segment: LogPlan.Segment, _ content: SegmentContent, _ file: any LogFile) throws(LogDiskError) {
        try file.write(segment.header.block(), at: 0)
        if let last = content.records.last {
            let start = last.content.lowerBound - LogFormat.recordHeaderBytes
            try file.write(file.read(at: start, last.end - start), at: start)
        }
        try file.sync()
        try place.disk.sync()
    }
}

private func translating<Value>(_ body: () throws(LogDiskError) -> Value) throws(StoreError) -> Value {
    do throws(LogDiskError) { return try body() } catch { throw StoreError(error) }
}
