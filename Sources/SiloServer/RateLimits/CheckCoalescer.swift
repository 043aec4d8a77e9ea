import SiloEngine

/// Gathers single checks into batches and knows who waits for which answer. It only decides: its owner sends, keeps time
/// and tells the waiters.
///
/// The first check opens a window; the batch goes when the window's time is over, or before that when it is full. Every
/// waiter that was taken in is given back once: by `answered`, `failed` or `close`.
struct CheckCoalescer<Waiter: Sendable>: Sendable {
    struct Batch: Equatable, Sendable {
        let number: Int
        let checks: [RateCheck]
    }

    /// What its owner has to do about a check that came.
    enum Action: Equatable, Sendable {
        /// Nothing: it goes with those that wait already.
        case gather
        /// End this window when its time is over.
        case openWindow(Int)
        case send(Batch)
        /// Tell the waiter so at once; it was not taken in.
        case refuse(String)
    }

    typealias Answers = [(waiter: Waiter, answer: RateAnswer)]

    private struct Window {
        let number: Int
        var checks: [RateCheck] = []
        var waiters: [Waiter] = []
        var bytes = 0
    }

    /// Checks without an answer, gathered or sent. Past it they are refused.
    static var waitingMax: Int { 10_000 }
    /// Bytes of names and keys in one batch, roughly: Gubernator refuses a call of more than 1 MiB.
    static var batchBytesMax: Int { 512 << 10 }
    /// A check of this size goes alone: should it be too large to be answered, others do not fail with it.
    static var largeCheckBytes: Int { 16 << 10 }

    private let batchMax: Int
    private var window: Window?
    private var sent: [Int: [Waiter]] = [:]
    private var lastNumber = 0
    private var isClosed = false
    private(set) var waiting = 0

    /// - Parameter batchMax: checks in one batch, at least 1.
    init(batchMax: Int) {
        self.batchMax = batchMax
    }

    mutating func add(_ check: RateCheck, for waiter: Waiter) -> Action {
        guard !isClosed else { return .refuse("the rate limiter is closed") }
        guard waiting < Self.waitingMax else { return .refuse("\(Self.waitingMax) rate checks wait already") }
        waiting += 1
        let bytes = check.name.utf8.count + check.uniqueKey.utf8.count
        if bytes >= Self.largeCheckBytes {
            return .send(send(Window(number: nextNumber(), checks: [check], waiters: [waiter])))
        }
        let isFirst = window == nil
        var open = window ?? Window(number: nextNumber())
        window = nil
        open.checks.append(check)
        open.waiters.append(waiter)
        open.bytes += bytes
        if open.checks.count >= batchMax || open.bytes >= Self.batchBytesMax { return .send(send(open)) }
        window = open
        return isFirst ? .openWindow(open.number) : .gather
    }

    /// The time of a window is over.
    /// - Returns: what to send; nil when it was sent before.
    mutating func windowEnded(_ number: Int) -> Batch? {
        guard let open = window, open.number == number else { return nil }
        window = nil
        return send(open)
    }

    /// A batch was answered, check by check in their order.
    mutating func answered(_ number: Int, _ answers: [RateAnswer]) -> Answers {
        let missing = RateAnswer.failed("gubernator left this check unanswered")
        return release(number).enumerated().map { index, waiter in (waiter, index < answers.count ? answers[index] : missing) }
    }

    /// A batch will not be answered.
    mutating func failed(_ number: Int, _ text: String) -> Answers {
        release(number).map { ($0, .failed(text)) }
    }

    /// Takes nothing in any more. Answers that still come are nobody's.
    /// - Returns: everybody who waits.
    mutating func close() -> [Waiter] {
        isClosed = true
        let waiters = sent.sorted { $0.key < $1.key }.flatMap(\.value) + (window?.waiters ?? [])
        window = nil
        sent = [:]
        waiting = 0
        return waiters
    }

    private mutating func nextNumber() -> Int {
        lastNumber += 1
        return lastNumber
    }

    private mutating func send(_ window: Window) -> Batch {
        sent[window.number] = window.waiters
        return Batch(number: window.number, checks: window.checks)
    }

    private mutating func release(_ number: Int) -> [Waiter] {
        let waiters = sent.removeValue(forKey: number) ?? []
        waiting -= waiters.count
        return waiters
    }
}
