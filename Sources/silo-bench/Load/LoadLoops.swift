/// What loads a queue until it is told to stop, and counts what it did.
protocol LoadLoops: Sendable {
    func start()
    var counts: Counts { get }
    func stopEnqueuing()
    /// Ends all; returns when no call is in flight.
    func stop() async
    /// Reads and changes the tally, with no other call beside.
    func withTally<Value>(_ body: (inout LoadTally) -> Value) -> Value
}

extension LoadLoops {
    var lastReport: Instant { withTally { $0.lastReport } }

    /// Begins to keep latencies, of calls that are answered from now on.
    func record() { withTally { $0.isRecording = true } }

    /// The latencies between `record` and now, after which none are kept.
    func stopRecording() -> Latencies {
        withTally { tally in
            tally.isRecording = false
            return tally.latencies
        }
    }
}
