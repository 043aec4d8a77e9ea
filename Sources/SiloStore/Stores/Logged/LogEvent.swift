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
    /// The store below does not answer. Until it does, rows stay in the log; reads and writes go on.
    case belowFails(StoreError)
    case belowAnswers
    /// There is no space for the log: changes are refused until there is.
    case noSpace(String)
    case spaceAgain
    /// What may be in memory and log is there, and nothing of it goes below: changes are refused until some of it does.
    case noRoom(StoreError)
    case roomAgain
}
