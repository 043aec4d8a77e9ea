public import SlateDB

/// What a log has to tell whoever looks after it.
public enum LogEvent: Sendable {
    /// Rows of the log were read on opening.
    case replayed(batches: Int, bytes: Int)
    /// The log ended with a record that is not whole, and it was passed over: nobody was answered for it, unless the disk has
    /// damaged it since.
    case passedOver(file: String, offset: Int)
    /// What was in the log is below, and its space is free.
    case checkpointed(rows: Int, milliseconds: Int64)
    /// Nothing goes below until this machine's clock has passed the last write there. Reads and writes go on.
    case clockBehind(ClockLag)
    case clockPassed
    /// There is no space for the log: nothing is written until there is.
    case noSpace(String)
}
