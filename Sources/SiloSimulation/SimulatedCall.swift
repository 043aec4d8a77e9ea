import GRPC
import SiloClient
import SiloServer
import SiloTesting
import Synchronization

/// One call on the simulated wire, from its caller's side to each time that it arrives.
final class SimulatedCall: Sendable, CustomStringConvertible {
    private struct State {
        var continuation: UnsafeContinuation<Result<[UInt8], Status>, Never>?
        var result: Result<[UInt8], Status>?
        var alarm: SimulatedClock.Alarm?
        var arrivals: [SimulatedArrival] = []
        var server: Int?
        var patience: Int64 = 0
    }
    let number: Int
    let address: String
    let path: String
    let request: [UInt8]
    let metadata: Metadata
    private let state: Mutex<State>

    /// - Parameter server: that the caller is connected to; nil: none serves the address.
    init(number: Int, address: String, server: Int?, path: String, request: [UInt8], metadata: Metadata) {
        self.number = number
        self.address = address
        self.path = path
        self.request = request
        self.metadata = metadata
        state = Mutex(State(server: server))
    }

    var description: String { "call \(number) \(path.split(separator: "/").last ?? "")" }

    var server: Int? {
        get { state.withLock { $0.server } }
        set { state.withLock { $0.server = newValue } }
    }

    /// Microseconds that the caller waits.
    var patience: Int64 {
        get { state.withLock { $0.patience } }
        set { state.withLock { $0.patience = newValue } }
    }

    var hasTimeout: Bool { state.withLock { $0.alarm != nil } }

    /// False when the call ended before it began: then its caller has the result.
    func begin(_ continuation: UnsafeContinuation<Result<[UInt8], Status>, Never>) -> Bool {
        let result = state.withLock { state in
            if state.result == nil { state.continuation = continuation }
            return state.result
        }
        if let result { continuation.resume(returning: result) }
        return result == nil
    }

    func keep(_ alarm: SimulatedClock.Alarm) { state.withLock { $0.alarm = alarm } }

    /// Nil when it has ended before.
    func end(
        _ result: Result<[UInt8], Status>
    ) -> (continuation: UnsafeContinuation<Result<[UInt8], Status>, Never>?, alarm: SimulatedClock.Alarm?)? {
        state.withLock { state in
            guard state.result == nil else { return nil }
            state.result = result
            defer { state.continuation = nil }
            return (state.continuation, state.alarm)
        }
    }

    func add(_ arrival: SimulatedArrival) { state.withLock { $0.arrivals.append(arrival) } }

    /// Whatever the server still answers reaches nobody, and nobody tells it that the caller is gone.
    func loseServer() {
        state.withLock { state in
            state.server = -1
            state.arrivals = []
        }
    }

    func cancelArrivals() {
        let arrivals = state.withLock { state in
            defer { state.arrivals = [] }
            return state.arrivals
        }
        for arrival in arrivals { arrival.cancel() }
    }
}

/// A request at a server: answered once, or cancelled.
final class SimulatedArrival: IncomingCall {
    private struct State {
        var isOver = false
        var isCancelled = false
        var onCancel: [@Sendable () -> Void] = []
    }
    private let call: SimulatedCall
    private let completion: @Sendable (Result<[UInt8], Status>) -> Void
    private let state = Mutex(State())

    init(_ call: SimulatedCall, _ completion: @escaping @Sendable (Result<[UInt8], Status>) -> Void) {
        self.call = call
        self.completion = completion
    }

    var metadata: Metadata { call.metadata }

    func withRequest<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R { try call.request.withUnsafeBytes(body) }

    func respond(_ bytes: [UInt8]) { answer(.success(bytes)) }
    func fail(_ status: Status) { answer(.failure(status)) }

    func onCancel(_ body: @escaping @Sendable () -> Void) {
        let isCancelled = state.withLock { state in
            if !state.isOver { state.onCancel.append(body) }
            return state.isCancelled
        }
        if isCancelled { body() }
    }

    func answer(_ result: Result<[UInt8], Status>) {
        let isFirst = state.withLock { state in
            defer {
                state.isOver = true
                state.onCancel = []
            }
            return !state.isOver
        }
        if isFirst { completion(result) }
    }

    func cancel() {
        let bodies = state.withLock { state in
            guard !state.isOver else { return [] as [@Sendable () -> Void] }
            state.isOver = true
            state.isCancelled = true
            defer { state.onCancel = [] }
            return state.onCancel
        }
        for body in bodies { body() }
    }
}

/// A client's way to one address of the simulated wire.
final class SimulatedTransport: Transport {
    private let wire: SimulatedWire
    private let address: String

    init(_ wire: SimulatedWire, _ address: String) {
        self.wire = wire
        self.address = address
    }

    func unary(
        _ path: String, _ request: [UInt8], metadata: Metadata, timeout: Duration?
    ) async throws(Status) -> [UInt8] {
        try await wire.call(path, request, metadata, timeout, to: address)
    }

    func close() {}
}

extension Result where Success == [UInt8], Failure == Status {
    /// For the trace.
    var label: String {
        switch self {
        case .success(let bytes): "\(bytes.count) bytes"
        case .failure(let status): "\(status.code) \(status.message)"
        }
    }
}
