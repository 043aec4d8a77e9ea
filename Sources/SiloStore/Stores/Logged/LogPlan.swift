import SiloCore

/// Which files of a log's folder count, decided from their headers and from what the store below is complete up to.
package struct LogPlan: Equatable, Sendable {
    /// A file of the folder, by what its first block says.
    package struct File: Equatable, Sendable {
        package let name: String
        package let bytes: Int
        /// Nil: it has none that can be read.
        package let header: SegmentHeader?

        package init(name: String, bytes: Int, header: SegmentHeader?) {
            self.name = name
            self.bytes = bytes
            self.header = header
        }
    }

    package struct Segment: Equatable, Sendable {
        package let file: String
        package let header: SegmentHeader
        /// Of the batch with which the next segment begins; nil for the last one.
        package let nextSequence: UInt64?
    }

    /// Nil: there is no log yet.
    package let log: LogIdentity?
    /// Those to be replayed, in order.
    package let live: [Segment]
    /// What is in them is below.
    package let free: [File]
    /// Whoever looks for damage has to look into these.
    package let unreadable: [File]
    /// The greatest number in use.
    package let lastNumber: UInt64

    /// - Parameters:
    ///   - name: of the shard.
    ///   - position: what the store below says; nil when it says nothing.
    package init(_ files: [File], name: String, position: LogPosition?) throws(StoreError) {
        // Of a log that was whole when the one after it was begun, and whose files somebody was about to remove.
        let left = files.filter { $0.header != nil && $0.header?.log.id == position?.previousID && $0.header?.log.name == name }
        let files = files.filter { !left.contains($0) }
        let segments = files.filter { $0.header != nil }.sorted { ($0.header?.number ?? 0) < ($1.header?.number ?? 0) }
        unreadable = files.filter { $0.header == nil }
        let headers = segments.compactMap(\.header)
        guard let last = headers.last else {
            if let position, !position.isWhole {
                throw .corrupt(
                    "the log of \(name) is missing: the data is complete only up to batch \(position.sequence). Bring the "
                        + "files of its log back, or name with --log the folder that they lie in")
            }
            (log, live, free, lastNumber) = (nil, [], left, 0)
            return
        }
        try Self.check(headers, name: name, position: position)
        let below = position?.sequence ?? 0
        guard let base = headers.lastIndex(where: { $0.firstSequence <= below + 1 }) else {
            throw .corrupt(
                "the log of \(name) begins with batch \(headers[0].firstSequence), and the data below ends at \(below)")
        }
        for (header, next) in zip(headers[base...], headers[(base + 1)...]) where next.number != header.number + 1 {
            throw .corrupt("segment \(header.number + 1) of the log of \(name) is missing")
        }
        log = last.log
        live = headers.indices[base...].map { index in
            let next = index + 1 < headers.count ? headers[index + 1].firstSequence : nil
            return Segment(file: segments[index].name, header: headers[index], nextSequence: next)
        }
        free = Array(segments[..<base]) + left
        lastNumber = last.number
    }

    private static func check(_ headers: [SegmentHeader], name: String, position: LogPosition?) throws(StoreError) {
        for (header, next) in zip(headers, headers.dropFirst()) {
            guard header.log == next.log else { throw .corrupt("the log of \(name) holds segments of two logs") }
            guard header.number < next.number else { throw .corrupt("the log of \(name) has segment \(header.number) twice") }
        }
        guard let log = headers.last?.log else { return }
        guard log.name == name else { throw .corrupt("the log of \(name) is that of \(log.name)") }
        // Beside data that was whole a new log is begun, and the data does not know it at once.
        let isBegun = position?.isWhole == true && headers[0].firstSequence == (position?.sequence ?? 0) + 1
        if let position, position.logID != log.id, !isBegun {
            throw .corrupt(
                "the log of \(name) does not belong to the data below it: that was written with another log since, and whatever "
                    + "batches \(headers[0].firstSequence) and later hold may be in this one only. Name with --log the folder "
                    + "of the other; or, to serve the data without this one, move its files away")
        }
    }

    /// Whether what the live segments hold is all that was there.
    /// - Parameters:
    ///   - contents: of `live`.
    ///   - isInUnreadable: whether one of those files holds a record of a segment from a sequence on.
    /// - Returns: the last batch.
    package func verify(
        _ contents: [SegmentContent], position: LogPosition?,
        isInUnreadable: (_ number: UInt64, _ sequences: PartialRangeFrom<UInt64>) throws(StoreError) -> Bool
    ) throws(StoreError) -> UInt64 {
        var last = position?.sequence ?? 0
        for (segment, content) in zip(live, contents) {
            if let later = content.laterRecord {
                throw Self.damaged(segment, content.end, "a later record is there, at byte \(later)")
            }
            let end = content.lastSequence ?? segment.header.firstSequence - 1
            if let next = segment.nextSequence, end + 1 != next {
                throw Self.damaged(segment, content.end, "it ends with batch \(end), and the next segment begins with \(next)")
            }
            last = max(last, end)
            if segment == live.last, let position, !position.isWhole, end < position.sequence {
                throw Self.damaged(segment, content.end, "it ends with batch \(end), and batch \(position.sequence) was in it")
            }
        }
        if let segment = live.last, try isInUnreadable(lastNumber + 1, (last + 1)...) {
            throw .corrupt("the header of segment \(lastNumber + 1) of the log of \(segment.header.log.name) cannot be read")
        }
        return last
    }

    private static func damaged(_ segment: Segment, _ offset: Int, _ why: String) -> StoreError {
        .corrupt(
            "the log of \(segment.header.log.name) is damaged in segment \(segment.header.number), file \(segment.file), "
                + "at byte \(offset): \(why)"
        )
    }
}
