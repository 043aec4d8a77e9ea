package import GRPC
package import SiloClient
package import SiloServer
package import SiloTesting
import Synchronization

/// The network of a simulation: it carries the calls of clients to the method tables of servers, late, or not at all.
package final class SimulatedWire: Sendable {
    /// What goes wrong, and how slowly all goes. Probabilities are from 0 to 1.
    package struct Faults: Sendable {
        /// Of each message, in microseconds.
        package var latency: ClosedRange<Int64> = 50...2000
        /// Messages that take longer, and how long.
        package var slow = 0.0
        package var slowLatency: ClosedRange<Int64> = 10_000...3_000_000
        /// Requests and answers that do not arrive. The caller learns of it by its timeout, or earlier by a broken connection.
        package var lostRequests = 0.0
        package var lostAnswers = 0.0
        /// Requests that arrive twice.
        package var duplicates = 0.0
        /// Callers that are gone of whom the server learns only seconds later, since their connections broke.
        package var lateCancels = 0.0

        package init() {}
    }

    /// Sees each call when it is sent, and when it ends for its caller.
    package struct Watcher: Sendable {
        package var sent: @Sendable (_ path: String, _ request: [UInt8]) -> Void
        package var ended: @Sendable (_ path: String, _ request: [UInt8], _ sentAt: Int64, Result<[UInt8], Status>) -> Void
    }

    private struct Server {
        let methods: MethodTable
        /// Tells it from others at the same address.
        let number: Int
        var isClosing = false
    }
    private struct State {
        var servers: [String: Server] = [:]
        var lastServer = 0
        var faults = Faults()
        var cut: Set<String> = []
        /// Calls that are not over for their caller, by number.
        var calls: [Int: SimulatedCall] = [:]
        var lastCall = 0
        /// What waits for a server that is stopped, by its address.
        var frozen: [String: [@Sendable () -> Void]] = [:]
        var watcher: Watcher?
    }
    private let state = Mutex(State())
    private let clock: SimulatedClock
    private let random: SeededRandom
    private let trace: Trace

    package init(seed: UInt64, clock: SimulatedClock, trace: Trace) {
        random = SeededRandom(seed: seed)
        self.clock = clock
        self.trace = trace
    }

    /// May change at any time.
    package var faults: Faults {
        get { state.withLock { $0.faults } }
        set { state.withLock { $0.faults = newValue } }
    }

    /// Calls under way, in order.
    package var runningCalls: [String] {
        state.withLock { $0.calls }.sorted { $0.key < $1.key }.map { "\($0.value)" }
    }

    package func watch(_ watcher: Watcher) { state.withLock { $0.watcher = watcher } }

    // MARK: Servers

    /// Whoever calls `address` from now on reaches these methods.
    package func serve(_ methods: MethodTable, at address: String) {
        state.withLock { state in
            state.lastServer += 1
            state.servers[address] = Server(methods: methods, number: state.lastServer)
        }
        trace.note("\(address) serves")
    }

    /// The server at `address` takes no new calls; those that run go on.
    package func refuseCalls(at address: String) {
        state.withLock { $0.servers[address]?.isClosing = true }
    }

    /// Whether callers wait for the server at `address`.
    package func hasCalls(at address: String) -> Bool {
        state.withLock { state in
            guard let number = state.servers[address]?.number else { return false }
            return state.calls.values.contains { $0.server == number }
        }
    }

    /// The server at `address` is gone: its calls end with UNAVAILABLE, and what it still answers reaches nobody.
    package func stop(at address: String) {
        let calls: [SimulatedCall] = state.withLock { state in
            guard let server = state.servers.removeValue(forKey: address) else { return [] }
            return state.calls.values.filter { $0.server == server.number }.sorted { $0.number < $1.number }
        }
        trace.note("\(address) is gone")
        defer { thaw(address) }
        for call in calls {
            call.loseServer()
            later { self.end(call, .failure(Status(.unavailable, "the connection was closed"))) }
        }
    }

    /// The server at `address` is stopped: what it is sent waits until `thaw`.
    package func freeze(_ address: String) {
        state.withLock { $0.frozen[address] = [] }
        trace.note("\(address) is stopped")
    }

    package func thaw(_ address: String) {
        guard let waiting = state.withLock({ $0.frozen.removeValue(forKey: address) }) else { return }
        trace.note("\(address) goes on")
        for body in waiting { later(body) }
    }

    /// Has the server at an address do something, when it runs.
    private func at(_ address: String, _ body: @escaping @Sendable () -> Void) {
        let isHeld = state.withLock { state in
            state.frozen[address]?.append(body)
            return state.frozen[address] != nil
        }
        if !isHeld { body() }
    }

    /// Loses every message to and from a server or a caller, until `mend`.
    package func cut(_ address: String) {
        state.withLock { _ = $0.cut.insert(address) }
        trace.note("\(address) is cut off")
    }

    package func mend(_ address: String) {
        state.withLock { _ = $0.cut.remove(address) }
        trace.note("\(address) is reached again")
    }

    // MARK: Calls

    /// - Parameter caller: whose way it is, to be cut by itself.
    package func transport(to address: String, for caller: String? = nil) -> any Transport {
        SimulatedTransport(self, address, caller)
    }

    fileprivate func call(
        _ path: String, _ request: [UInt8], _ metadata: Metadata, _ timeout: Duration?, by transport: SimulatedTransport
    ) async throws(Status) -> [UInt8] {
        let call = state.withLock { state in
            state.lastCall += 1
            let call = SimulatedCall(
                number: state.lastCall, transport: transport, server: state.servers[transport.address]?.number, path: path,
                request: request, metadata: metadata
            )
            state.calls[call.number] = call
            return call
        }
        let result = await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                if call.begin(continuation) { send(call, timeout) }
            }
        } onCancel: {
            abandon(call, Status(.cancelled, "the caller was cancelled"))
        }
        return try result.get()
    }

    private func send(_ call: SimulatedCall, _ timeout: Duration?) {
        trace.note("\(call) to \(call.address), \(call.request.count) bytes")
        call.sentAt = clock.microseconds
        state.withLock { $0.watcher }?.sent(call.path, call.request)
        let timeout = timeout.map { $0.components.seconds * 1_000_000 + $0.components.attoseconds / 1_000_000_000_000 }
        if let timeout {
            let alarm = clock.after(microseconds: timeout) {
                self.abandon(call, Status(.deadlineExceeded, "Deadline Exceeded"))
            }
            call.keep(alarm)
        }
        call.patience = timeout ?? 60_000_000
        let faults = faults
        guard !isLost(call, faults.lostRequests) else { return lose(call, "request") }
        later { self.at(call.address) { self.arrive(call) } }
        if random.happens(faults.duplicates) { later { self.at(call.address) { self.arrive(call) } } }
    }

    private func arrive(_ call: SimulatedCall) {
        guard let server = state.withLock({ $0.servers[call.address] }), call.server == nil || call.server == server.number else {
            trace.note("\(call) finds no server")
            return later { self.end(call, .failure(Status(.unavailable, "no connection to \(call.address)"))) }
        }
        trace.note("\(call) arrives")
        call.server = server.number
        let arrival = SimulatedArrival(call) { [self] answer, onUndelivered in
            trace.note("\(call) \(answer.label)")
            guard call.server == server.number, state.withLock({ $0.servers[call.address]?.number }) == server.number else {
                return
            }
            guard !isLost(call, faults.lostAnswers) else {
                // Half of the time it was still in the server's hands when the connection broke, which it may learn late.
                if random.happens(0.5) { delay(random.number(in: 0...3_000_000)) { self.at(call.address, onUndelivered) } }
                return lose(call, "answer")
            }
            later { self.end(call, answer) }
        }
        guard !server.isClosing else { return arrival.answer(.failure(Status(.unavailable, "the server is shutting down"))) }
        guard let handler = server.methods.handler(of: call.path) else {
            return arrival.answer(.failure(Status(.unimplemented, "unknown method \(call.path)")))
        }
        handler(SimulatedIncomingCall(arrival))
        call.add(arrival)
    }

    /// The caller does not wait any more. The server learns of it later.
    private func abandon(_ call: SimulatedCall, _ status: Status) {
        guard end(call, .failure(status)) else { return }
        let cancel = { @Sendable in self.at(call.address) { call.cancelArrivals() } }
        if random.happens(faults.lateCancels) { delay(random.number(in: 0...3_000_000), cancel) } else { later(cancel) }
    }

    @discardableResult
    private func end(_ call: SimulatedCall, _ result: Result<[UInt8], Status>) -> Bool {
        guard let (continuation, alarm) = call.end(result) else { return false }
        state.withLock { $0.calls[call.number] = nil }
        if let alarm { clock.callOff(alarm) }
        trace.note("\(call) ends, \(result.label)")
        state.withLock { $0.watcher }?.ended(call.path, call.request, call.sentAt, result)
        continuation?.resume(returning: result)
        return true
    }

    fileprivate func close(_ transport: SimulatedTransport) {
        let calls = state.withLock { $0.calls.values.filter { $0.transport === transport }.sorted { $0.number < $1.number } }
        for call in calls { abandon(call, Status(.unavailable, "the channel is closed")) }
    }

    private func isLost(_ call: SimulatedCall, _ probability: Double) -> Bool {
        random.happens(probability) || state.withLock { state in
            state.cut.contains(call.address) || call.transport.caller.map(state.cut.contains) ?? false
        }
    }

    /// Sooner or later the caller sees that the connection is broken, or its timeout ends the call.
    private func lose(_ call: SimulatedCall, _ what: String) {
        trace.note("\(call) loses its \(what)")
        // Half of the time the timeout comes first.
        let wait = random.number(in: 0...2 * call.patience)
        delay(wait) { self.abandon(call, Status(.unavailable, "the connection broke")) }
    }

    /// After the time that a message takes.
    private func later(_ body: @escaping @Sendable () -> Void) {
        let faults = faults
        delay(random.number(in: random.happens(faults.slow) ? faults.slowLatency : faults.latency), body)
    }

    private func delay(_ microseconds: Int64, _ body: @escaping @Sendable () -> Void) {
        clock.after(microseconds: microseconds, body)
    }
}

/// A client's way to one address.
final class SimulatedTransport: Transport {
    let address: String
    let caller: String?
    private let wire: SimulatedWire
    private let isClosed = Atomic(false)

    init(_ wire: SimulatedWire, _ address: String, _ caller: String?) {
        self.wire = wire
        self.address = address
        self.caller = caller
    }

    func unary(
        _ path: String, _ request: [UInt8], metadata: Metadata, timeout: Duration?
    ) async throws(Status) -> [UInt8] {
        guard !isClosed.load(ordering: .relaxed) else { throw Status(.unavailable, "the channel is closed") }
        return try await wire.call(path, request, metadata, timeout, by: self)
    }

    func close() {
        isClosed.store(true, ordering: .relaxed)
        wire.close(self)
    }
}

extension Result<[UInt8], Status> {
    /// For the trace.
    fileprivate var label: String {
        switch self {
        case .success(let bytes): "answered with \(bytes.count) bytes"
        case .failure(let status): "\(status)"
        }
    }
}
