/// What a load run has done.
struct Counts: Sendable {
    var enqueued = 0
    var leased = 0
    var reported = 0
    /// Nil: who asks for work does not tell.
    var polls: Polls? = Polls()
    var failures = 0
    /// The last of the failures, in words.
    var failure: String?
}

/// Calls that asked for work and were answered.
struct Polls: Sendable {
    var all = 0
    var empty = 0
}

/// How long each step took, in milliseconds.
struct Latencies: Sendable {
    var enqueue = Samples()
    /// Calls that brought tasks; the time waited for work counts.
    var lease = Samples()
    var report = Samples()
    /// From sending the enqueue call to the answer to the report.
    var lifeCycle = Samples()
}

/// What loops count and measure while they run.
struct LoadTally: Sendable {
    var counts = Counts()
    var latencies = Latencies()
    /// Latencies are kept, of calls that are answered from now on.
    var isRecording = false
    /// When a job was last finished.
    var lastReport = Instant.now
}
