/// A span that has ended, as it is exported. Times are nanoseconds since 1970.
public struct FinishedSpan: Sendable {
    public struct Event: Sendable {
        public let name: String
        public let at: UInt64
    }
    public let start: SpanStart
    public let context: TraceContext
    public let began: UInt64
    public let ended: UInt64
    public let attributes: [(name: String, value: SpanValue)]
    public let events: [Event]
    /// Nil: nothing went wrong.
    public let failure: String?
}
