/// Numbers of a log and of the memory above it.
public struct LogSettings: Sendable {
    /// Bytes of a segment's file. Each shard has one at least.
    public var segmentBytes = 4 << 20
    /// What is buffered before it is written unasked, in bytes.
    public var bufferBytesMax = 1 << 20
    /// Rows that a checkpoint writes at once, and their bytes.
    public var checkpointRowsMax = 256
    public var checkpointBytesMax = 256 << 10
    /// What a checkpoint rests between two of its writes while memory and log have room, in milliseconds.
    public var checkpointRestMilliseconds: Int64 = 1
    /// Milliseconds without a step after which what is on its way below is thought to stand still, so that writes do not wait for
    /// room any more; and the same where there is no space for it.
    public var patienceMilliseconds: Int64 = 300_000
    public var fullDiskMilliseconds: Int64 = 10_000
    /// Milliseconds that whoever asks for a checkpoint waits for a clock that is behind.
    public var clockPatienceMilliseconds: Int64 = 5000
    /// Bytes that are still taken in while changes are refused, of those who are in the middle of one.
    public var overdraftBytesMax = 64 << 20
    #if DEBUG
        /// Faults that tests plant, to see whether they would be found.
        package var planted: Set<PlantedFault> = []
        /// Is told of each step, just before it.
        package var onStep: @Sendable (LogStep) -> Void = { _ in }
    #endif

    public init() {}

    /// What a segment's checksums begin with.
    package func seed(of header: SegmentHeader) -> UInt64 {
        LogFormat.seed(header.log.id, plants(.takesRecycledRecords) ? 0 : header.number)
    }

    /// A step comes next. Tests let the process die here; in a program that is built for use it does nothing.
    @inline(__always)
    func comes(_ step: LogStep) {
        #if DEBUG
            onStep(step)
        #endif
    }

    /// Whether a fault was planted. No program that is built for use has any.
    func plants(_ fault: PlantedFault) -> Bool {
        #if DEBUG
            planted.contains(fault)
        #else
            false
        #endif
    }
}

/// What a log must never do.
package enum PlantedFault: CaseIterable, Sendable {
    /// Answers before the sync.
    case answersBeforeSync
    /// Checksums do not know the number of their segment.
    case takesRecycledRecords
    /// Deletes of the overlay do not get below.
    case dropsTombstones
    /// Says below that all is there before it is.
    case positionFirst
    /// Rows get below before the log has them.
    case checkpointsUnsyncedRows
    /// Frees segments before what replaces them is durable.
    case freesBeforeFlush
    /// Frees the segment after the last one that is below.
    case freesTooMuch
    /// Writes a segment's header together with its first record.
    case headerUnsynced
    /// Goes on after a failed sync.
    case repeatsFailedSync
    /// Takes what is damaged in the middle for the end.
    case ignoresLaterRecords
    /// Leaves the names of new files to chance.
    case skipsFolderSync
    /// Says at closing that the data is whole before it is.
    case wholeTooEarly
    /// Takes rows for new that a checkpoint may have moved below before the crash.
    case forgetsWhatBegan
}
