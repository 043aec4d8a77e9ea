/// What is done to a log and to the store below it, step by step. A crash between any two leaves all that was acknowledged.
package enum LogStep: String, CaseIterable, Sendable {
    // Opening.
    case look, verify, moveReplayed, secure, removeOld, mark
    // A record.
    case append, syncRecord
    // The next segment.
    case createFile, fillFile, writeHeader, syncHeader
    // A checkpoint.
    case begin, moveRows, notePosition, flushBelow
    // A store below that has closed itself.
    case lookBelow, reopenBelow
    // What becomes free of it.
    case freeSegments, recycle, discard
    // Closing: the data was marked as whole, and the log is removed.
    case closeBelow, removeLog
}
