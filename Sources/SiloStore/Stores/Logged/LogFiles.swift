import SiloCore

/// The files of a log's folder, looked through and found sound. Nothing was changed. On the log's worker.
struct LogFiles: Sendable {
    /// A file of the folder, open.
    private struct Found: Sendable {
        let file: LogPlan.File
        let handle: any LogFile
    }
    private let place: LogPlace
    private let names: [String]
    private let found: [String: Found]
    private let plan: LogPlan
    /// Of the plan's live segments.
    private let contents: [SegmentContent]
    /// The last batch that is there, or below.
    let last: UInt64

    init(in place: LogPlace, _ position: LogPosition?) throws(StoreError) {
        place.settings.comes(.look)
        let (names, found) = try Self.found(in: place)
        let plan = try LogPlan(names.compactMap { found[$0]?.file }, name: place.name, position: position)
        place.settings.comes(.verify)
        var contents: [SegmentContent] = []
        for segment in plan.live {
            contents.append(SegmentContent(of: segment.header, try Self.bytes(of: found[segment.file]), place.settings))
        }
        last = try plan.verify(contents, position: position) { number, sequences throws(StoreError) in
            guard let log = plan.log else { return false }
            for file in plan.unreadable {
                let bytes = try Self.bytes(of: found[file.name])
                if SegmentContent.holdsRecord(of: log, number: number, sequences: sequences, bytes) { return true }
            }
            return false
        }
        (self.place, self.names, self.found, self.plan, self.contents) = (place, names, found, plan, contents)
        if let segment = plan.live.last, let content = contents.last, content.hasUnfinishedRecord {
            place.onEvent(.passedOver(file: segment.file, offset: content.end))
        }
    }

    /// The same by headers alone, of which a `LogPlan` is made.
    static func check(in place: LogPlace, _ position: LogPosition?) throws(StoreError) {
        let (names, found) = try found(in: place)
        _ = try LogPlan(names.compactMap { found[$0]?.file }, name: place.name, position: position)
    }

    private static func found(in place: LogPlace) throws(StoreError) -> (names: [String], files: [String: Found]) {
        let names = try translating { () throws(LogDiskError) in try place.disk.names() }.filter { $0.hasSuffix(".log") }
        var found: [String: Found] = [:]
        for name in names { found[name] = try Self.look(name, place) }
        return (names, found)
    }

    private static func look(_ name: String, _ place: LogPlace) throws(StoreError) -> Found {
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

    private static func bytes(of found: Found?) throws(StoreError) -> Bytes {
        guard let found else { return [] }
        return try translating { () throws(LogDiskError) in try found.handle.read(at: 0, found.file.bytes) }
    }

    // MARK: What is to be replayed

    /// The log that goes on; nil: there is none yet.
    var log: LogIdentity? { plan.log }
    var segmentCount: Int { plan.live.count }

    /// The records of one segment that end after `sequence`, in order.
    func records(of index: Int, after sequence: UInt64) throws(StoreError) -> [(firstSequence: UInt64, batches: [[Write]])] {
        let segment = plan.live[index]
        let bytes = try Self.bytes(of: found[segment.file])
        var records: [(UInt64, [[Write]])] = []
        for record in contents[index].records where record.lastSequence > sequence {
            guard record.content.upperBound <= bytes.count,
                let batches = BatchCoding.decode(bytes[record.content], batches: record.batches)
            else {
                throw .corrupt("the log of \(place.name) holds a record that cannot be read, in file \(segment.file)")
            }
            records.append((record.firstSequence, batches))
        }
        return records
    }

    /// Makes durable what was read: below never has what the log might lose.
    func secure() throws(StoreError) {
        try translating { () throws(LogDiskError) in
            guard let segment = plan.live.last, let content = contents.last, let found = found[segment.file] else { return }
            try secure(segment, content, found.handle)
        }
    }

    // MARK: Going on

    /// - Parameter isEmpty: nothing of the log is needed. It is begun anew, under a name of its own.
    func writer(_ account: LogAccount, isEmpty: Bool) throws(StoreError) -> (LogWriter, LogIdentity) {
        try translating { () throws(LogDiskError) in
            let kept = isEmpty ? nil : plan.log
            if isEmpty { try removeAll() }
            let log = kept ?? LogIdentity(id: place.environment.random.next(), name: place.name)
            let writer = LogWriter(
                place.disk, log, names: isEmpty ? [] : names, lastNumber: kept == nil ? 0 : plan.lastNumber, lastSequence: last,
                settings: place.settings, account: account)
            if !isEmpty { try hand(over: writer) }
            // What is in a log can be read without space for more.
            do throws(LogDiskError) { try writer.begin() } catch .noSpace(let text) {
                guard !isEmpty else { throw .noSpace(text) }
            }
            return (writer, log)
        }
    }

    private func removeAll() throws(LogDiskError) {
        place.settings.comes(.removeOld)
        for (name, found) in found.sorted(by: { $0.key < $1.key }) {
            found.handle.close()
            try place.disk.remove(name)
        }
        if !found.isEmpty { try place.disk.sync() }
    }

    private func hand(over writer: LogWriter) throws(LogDiskError) {
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

    /// Makes durable what was read last: it may be in the system's memory only, and after a sync that failed the system takes it
    /// for written. So it is written again.
    private func secure(_ segment: LogPlan.Segment, _ content: SegmentContent, _ file: any LogFile) throws(LogDiskError) {
        place.settings.comes(.secure)
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
