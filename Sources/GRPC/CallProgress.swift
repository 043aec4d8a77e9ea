/// How far a call on the server has come; kept by `CallState` under its lock.
struct CallProgress {
    enum Phase {
        /// Nobody called yet. Followed by `.open`.
        case requested
        /// The handler may send and answer. Followed by `.answering` or `.answered`.
        case open
        /// Answered while a message was being sent; the answer waits for it. Followed by `.answered`.
        case answering(CallState.Answer)
        /// The finishing batch is in flight. Followed by `.over`.
        case answered
        /// The C core's call is gone.
        case over
    }

    var phase = Phase.requested
    /// In flight.
    var batches = 0
    var isWatched = false
    var isCancelled = false
    var hasSentHeaders = false
    var sending: (@Sendable (Bool) -> Void)?
    var receiving: (@Sendable ([UInt8]?) -> Void)?
    var onCancel: [@Sendable () -> Void] = []
    /// The finishing batch failed.
    var isUndelivered = false
    /// Of the answer that went.
    var onUndelivered: (@Sendable () -> Void)?

    var isOpen: Bool { if case .open = phase { true } else { false } }
    var mayBeCancelled: Bool { if case .requested = phase { true } else { isOpen } }

    /// The finishing batch is about to start.
    mutating func finish(with answer: CallState.Answer) {
        phase = .answered
        batches += 1
        onUndelivered = answer.onUndelivered
    }
}

extension CallState {
    /// What ends a call.
    struct Answer {
        var message: [UInt8]?
        var status: Status
        /// Runs once when the client can not have got the answer.
        var onUndelivered: (@Sendable () -> Void)?

        static let shuttingDown = Answer(status: Status(.unavailable, "the server is shutting down"))
    }
}
