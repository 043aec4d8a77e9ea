public import SiloCore
import Synchronization

/// What a log holds at a moment, and how often it was moved below.
public struct LogLoad: Sendable, Equatable {
    /// Memory of rows that are not below yet.
    public var overlayBytes = 0
    /// Files that are not free.
    public var segments = 0
    /// Of one of them.
    public var segmentBytes = 0
    /// Moves below since the store was opened, their rows, and how long they took.
    public var checkpoints = 0
    public var checkpointRows = 0
    public var checkpointMilliseconds: Int64 = 0
    /// When the last one ended; nil: there was none.
    public var checkpointedAt: Timestamp?
}

extension LoggedStore {
    /// Asks nobody who may be busy.
    public var load: LogLoad {
        var load = moves.withLock { $0 }
        load.overlayBytes = state.withLock { $0.overlayBytes }
        load.segments = writer.segments.load(ordering: .relaxed)
        load.segmentBytes = place.settings.segmentBytes
        return load
    }

    /// What was in the log is below.
    func noteCheckpoint(rows: Int, milliseconds: Int64) {
        moves.withLock { moves in
            moves.checkpoints += 1
            moves.checkpointRows += rows
            moves.checkpointMilliseconds += milliseconds
            moves.checkpointedAt = place.environment.clock.now
        }
        place.onEvent(.checkpointed(rows: rows, milliseconds: milliseconds))
    }
}
