/// What loads a queue until it is told to stop, and counts what it did.
protocol LoadLoops: Sendable {
    func start()
    var counts: Counts { get }
    /// When a job was last finished.
    var lastReport: Instant { get }
    /// Begins to keep latencies, of calls that are answered from now on.
    func record()
    /// The latencies between `record` and now, after which none are kept.
    func stopRecording() -> Latencies
    func stopEnqueuing()
    /// Ends all; returns when no call is in flight.
    func stop() async
}

extension LifeCycles: LoadLoops {}
