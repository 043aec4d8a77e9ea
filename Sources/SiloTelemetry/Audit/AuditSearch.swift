/// What is wanted of an audit log, newest first.
package struct AuditSearch: Sendable {
    /// These exactly; nil: any.
    package var who: String?
    package var call: String?
    package var tenant: String?
    package var outcome: String?
    /// Only what was not done.
    package var isFailed = false
    /// Calls that are left out where they were done.
    package var leavingOut: Set<String> = []
    /// Of that moment or later, and before that one, in milliseconds since the Unix epoch.
    package var from: Int64?
    package var before: Int64?
    package var entriesMax = 50
    package var place: Place?

    package init() {}

    /// Where a page ended.
    package struct Place: Sendable, Equatable {
        let file: UInt64
        let offset: Int

        init(file: UInt64, offset: Int) {
            self.file = file
            self.offset = offset
        }

        /// Nil: it is none.
        package init?(_ text: String) {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 2, let file = UInt64(parts[0], radix: 16), let offset = Int(parts[1], radix: 16), offset >= 0
            else { return nil }
            self.init(file: file, offset: offset)
        }

        package var text: String { String(file, radix: 16) + "." + String(offset, radix: 16) }
    }

    func takes(_ entry: AuditEntry) -> Bool {
        // By bytes: names that look alike are others.
        if let who, entry["who"]?.utf8.elementsEqual(who.utf8) != true { return false }
        if let call, entry["call"] != call { return false }
        if let outcome, entry["outcome"] != outcome { return false }
        if isFailed, entry["outcome"] == "OK" || entry["outcome"] == nil { return false }
        // A call may name several.
        let tenants = (entry["tenant"] ?? "").utf8.split(separator: UInt8(ascii: ","))
        if let tenant, !tenants.contains(where: { $0.elementsEqual(tenant.utf8) }) { return false }
        return entry["outcome"] != "OK" || !leavingOut.contains(entry["call"] ?? "")
    }
}

/// What was found.
package struct AuditPage: Sendable {
    package var entries: [AuditEntry] = []
    /// Where to go on; nil: there is no more.
    package var next: AuditSearch.Place?
    /// The time of the oldest line that was looked at.
    package var reached: Int64?
    /// Lines that are none of an audit log, or are broken.
    package var unreadableLines = 0
    /// Files of before that are compressed, or cannot be opened.
    package var packedFiles = 0
    package var closedFiles = 0
}

/// Finds entries in the files of an audit log, from the newest backwards. A page costs a bounded number of reads.
struct AuditFinder {
    /// The place where a page ended is gone: its file was deleted, compressed or cut.
    struct Gone: Error {}

    private let search: AuditSearch
    private let from: String?
    private let before: String?
    private var budget: Int
    private var page = AuditPage()

    /// Lines that were written at one time may stand in another order: a clock was set.
    private static let disorderMilliseconds: Int64 = 3_600_000

    init(_ search: AuditSearch, bytesMax: Int = 4 << 20) {
        self.search = search
        from = search.from.map { AuditTime.text($0) }
        before = search.before.map { AuditTime.text($0) }
        budget = bytesMax
    }

    /// Blocks.
    mutating func page(of path: String) throws -> AuditPage {
        let found = AuditFile.all(of: path)
        var files = found.files
        page.packedFiles = found.packed
        var place = search.place
        if let place {
            guard let index = files.firstIndex(where: { $0.number == place.file }), place.offset <= files[index].size else {
                throw Gone()
            }
            files.removeFirst(index)
        }
        for file in files {
            guard let reader = AuditFileReader(file) else {
                page.closedFiles += 1
                continue
            }
            guard budget > 0 else {
                page.next = AuditSearch.Place(file: file.number, offset: reader.size)
                break
            }
            let start = try place?.offset ?? before.map { try reader.place(before: $0, &budget) } ?? reader.size
            place = nil
            if try look(at: reader, of: file, from: start, isLast: file == files.last) { break }
        }
        return page
    }

    /// - Returns: whether the page is done.
    private mutating func look(at reader: AuditFileReader, of file: AuditFile, from start: Int, isLast: Bool) throws -> Bool {
        var lines = BackwardLines(from: start) { try reader.read(at: $0, $1) }
        while true {
            switch try lines.next(&budget) {
            case .begin: return false
            case .tooLong: page.unreadableLines += 1
            case .spent:
                page.next = AuditSearch.Place(file: file.number, offset: lines.place)
                return true
            case .line(let line):
                guard let entry = AuditEntry(line: line) else {
                    page.unreadableLines += 1
                    continue
                }
                page.reached = entry.milliseconds
                if isTooOld(entry) { return true }
                guard isInTime(entry), search.takes(entry) else { continue }
                page.entries.append(entry)
                guard page.entries.count >= search.entriesMax else { continue }
                if lines.place > 0 || !isLast { page.next = AuditSearch.Place(file: file.number, offset: lines.place) }
                return true
            }
        }
    }

    private func isInTime(_ entry: AuditEntry) -> Bool {
        if let from, entry.time < from { return false }
        if let before, entry.time >= before { return false }
        return true
    }

    /// Nothing behind it can be in time.
    private func isTooOld(_ entry: AuditEntry) -> Bool {
        guard let from = search.from else { return false }
        return entry.milliseconds < from - min(Self.disorderMilliseconds, max(0, from))
    }
}
