import GRPC
import SiloServer
import SiloTesting
import Synchronization

/// A call on a `SimulatedWire`, from its start to its end for the caller.
final class SimulatedCall: Sendable, CustomStringConvertible {
    private struct State {
        var continuation: UnsafeContinuation<Result<[UInt8], Status>, Never>?
        /// How it ended.
        var result: Result<[UInt8], Status>?
        var deadline: SimulatedClock.Alarm?
        /// The server's side: more than one where the request arrived twice.
        var arrivals: [SimulatedArrival] = []
        /// The server has learnt that nobody waits.
        var isCancelled = false
        var server: Int?
        var patience: Int64 = 0
        var sentAt: Int64 = 0
    }
    let number: Int
    let transport: SimulatedTransport
    let path: String
    let request: [UInt8]
    let metadata: Metadata
    private let state: Mutex<State>

    /// - Parameter server: the number of the server that it goes to; nil when there is none at its start.
    init(number: Int, transport: SimulatedTransport, server: Int?, path: String, request: [UInt8], metadata: Metadata) {
        self.number = number
        self.transport = transport
        self.path = path
        self.request = request
        self.metadata = metadata
        state = Mutex(State(server: server))
    }

    var address: String { transport.address }
    var description: String { "#\(number) \(path.split(separator: "/").last ?? "")" }

    var server: Int? {
        get { state.withLock { $0.server } }
        set { state.withLock { $0.server = newValue } }
    }

    /// How long the caller waits at most, in microseconds.
    var patience: Int64 {
        get { state.withLock { $0.patience } }
        set { state.withLock { $0.patience = newValue } }
    }

    /// Microseconds since the epoch.
    var sentAt: Int64 {
        get { state.withLock { $0.sentAt } }
        set { state.withLock { $0.sentAt = newValue } }
    }

    // MARK: The caller's side

    /// False when it is over already.
    func begin(_ continuation: UnsafeContinuation<Result<[UInt8], Status>, Never>) -> Bool {
        let result = state.withLock { state in
            if state.result == nil { state.continuation = continuation }
            return state.result
        }
        if let result { continuation.resume(returning: result) }
        return result == nil
    }

    func keep(_ deadline: SimulatedClock.Alarm) { state.withLock { $0.deadline = deadline } }

    /// Nil when it had ended before.
    func end(
        _ result: Result<[UInt8], Status>
    ) -> (UnsafeContinuation<Result<[UInt8], Status>, Never>?, SimulatedClock.Alarm?)? {
        state.withLock { state in
            guard state.result == nil else { return nil }
            state.result = result
            defer { state.continuation = nil }
            return (state.continuation, state.deadline)
        }
    }

    // MARK: The server's side

    func add(_ arrival: SimulatedArrival) {
        let isCancelled = state.withLock { state in
            if !state.isCancelled { state.arrivals.append(arrival) }
            return state.isCancelled
        }
        if isCancelled { arrival.cancel() }
    }

    /// The server learns that nobody waits.
    func cancelArrivals() {
        let arrivals = state.withLock { state in
            state.isCancelled = true
            defer { state.arrivals = [] }
            return state.arrivals
        }
        for arrival in arrivals { arrival.cancel() }
    }

    /// The server is gone, and with it everything that it would do.
    func loseServer() {
        let arrivals = state.withLock { state in
            defer { state.arrivals = [] }
            return state.arrivals
        }
        for arrival in arrivals { arrival.forget() }
    }
}

/// A request that arrived at a server, until it is answered or nobody waits any more.
final class SimulatedArrival: Sendable {
    private struct State {
        var isOver = false
        var isCancelled = false
        /// The server is gone: nothing of it runs any more.
        var isForgotten = false
        var onCancel: [@Sendable () -> Void] = []
    }
    typealias OnUndelivered = @Sendable () -> Void

    let call: SimulatedCall
    private let state = Mutex(State())
    private let answered: @Sendable (Result<[UInt8], Status>, _ onUndelivered: @escaping OnUndelivered) -> Void

    /// - Parameter answered: gets the first answer, unless the call is cancelled before, and what is to run when the server
    ///   learns that the answer did not arrive.
    init(
        _ call: SimulatedCall, answered: @escaping @Sendable (Result<[UInt8], Status>, @escaping OnUndelivered) -> Void
    ) {
        self.call = call
        self.answered = answered
    }

    func answer(_ result: Result<[UInt8], Status>, onUndelivered: OnUndelivered? = nil) {
        guard finish(isCancelled: false) == nil else {
            return answered(result) { if !self.isForgotten { onUndelivered?() } }
        }
        if !isForgotten { onUndelivered?() }
    }

    private var isForgotten: Bool { state.withLock { $0.isForgotten } }

    func cancel() {
        for body in finish(isCancelled: true) ?? [] { body() }
    }

    func forget() {
        state.withLock { $0.isForgotten = true }
        _ = finish(isCancelled: false)
    }

    func onCancel(_ body: @escaping @Sendable () -> Void) {
        let isCancelled = state.withLock { state in
            if !state.isOver { state.onCancel.append(body) }
            return state.isCancelled
        }
        if isCancelled { body() }
    }

    /// What waits for its cancellation; nil when it is over already.
    private func finish(isCancelled: Bool) -> [@Sendable () -> Void]? {
        state.withLock { state in
            guard !state.isOver else { return nil }
            state.isOver = true
            state.isCancelled = isCancelled
            defer { state.onCancel = [] }
            return state.onCancel
        }
    }
}

/// An arrival in the hands of its handler. As on a real server, one that the handler drops ends with INTERNAL.
final class SimulatedIncomingCall: IncomingCall {
    private let arrival: SimulatedArrival

    init(_ arrival: SimulatedArrival) {
        self.arrival = arrival
    }

    deinit { arrival.answer(.failure(Status(.internalError, "the handler gave no answer"))) }

    func header(_ key: String) -> [UInt8]? { arrival.call.metadata.header(key) }
    var peer: String { arrival.call.transport.caller ?? "" }
    /// Callers give up by themselves: see `SimulatedWire`.
    var timeRemaining: Duration? { nil }

    func withRequest<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try arrival.call.request.withUnsafeBytes(body)
    }

    func respond(_ bytes: [UInt8], onUndelivered: (@Sendable () -> Void)?) {
        arrival.answer(.success(bytes), onUndelivered: onUndelivered)
    }

    func fail(_ status: Status) { arrival.answer(.failure(status)) }
    func onCancel(_ body: @escaping @Sendable () -> Void) { arrival.onCancel(body) }
}
