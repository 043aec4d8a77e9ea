import CMicroHTTPD
import Synchronization

/// One request and its answer. The library's thread and the handler's task meet here: while the handler is at work the
/// connection is suspended, and nobody waits.
final class Exchange: Sendable {
    private enum Phase {
        /// The body comes in. Followed by `.handling` or `.answered`.
        case receiving
        /// Followed by `.answered`.
        case handling
        /// The library has not taken the answer yet. Followed by `.sending`.
        case answered(HTTPResponse)
        case sending
        case over
    }
    private struct State {
        var phase = Phase.receiving
        var request: HTTPRequest
        var isTooLarge = false
        var task: Task<Void, Never>?
        var stream = ResponseStream()
    }
    private let core: HTTPCore
    private let connection: Connection
    private let route: HTTPRoutes.Route?
    private let state: Mutex<State>

    /// It is answered without asking a handler.
    let isRefused: Bool

    init(_ core: HTTPCore, _ connection: Connection, _ request: HTTPRequest, to route: HTTPRoutes.Route) {
        self.core = core
        self.connection = connection
        self.route = route
        isRefused = false
        state = Mutex(State(request: request))
    }

    init(_ core: HTTPCore, _ connection: Connection, _ request: HTTPRequest, refusal: HTTPResponse) {
        self.core = core
        self.connection = connection
        route = nil
        isRefused = true
        state = Mutex(State(phase: .answered(refusal), request: request))
    }

    // MARK: On the library's thread

    /// A part of the body. What is longer than it may be is read and forgotten, within the time that a request has.
    func receive(_ bytes: UnsafeRawBufferPointer) {
        state.withLock { state in
            guard case .receiving = state.phase, !state.isTooLarge else { return }
            state.isTooLarge = state.request.body.count + bytes.count > route?.bodyBytesMax ?? 0
            if state.isTooLarge { state.request.body = [] } else { state.request.body.append(contentsOf: bytes) }
        }
    }

    /// The request is whole, or its answer has come.
    func proceed() -> MHD_Result {
        let answer: HTTPResponse? = state.withLock { state in
            switch state.phase {
            case .receiving:
                if state.isTooLarge { return .refusal(413, "the body may have \(route?.bodyBytesMax ?? 0) bytes") }
                guard let route, core.connections.suspend(connection, for: self) else { return .refusal(503, "the server stops") }
                core.connections.expect(connection, within: core.options.handlerTime, handling: self)
                state.phase = .handling
                state.task = task(route, state.request)
                return nil
            case .answered(let response): return response
            case .handling, .sending, .over: return nil
            }
        }
        return answer.map(send) ?? .YES
    }

    private func task(_ route: HTTPRoutes.Route, _ request: HTTPRequest) -> Task<Void, Never> {
        // Ends by answering; is cancelled when nobody waits for the answer any more.
        Task {
            let response = await route.handler(request)
            answer(response)
            guard case .stream(let body) = response.body else { return }
            do {
                try await body(HTTPBodyWriter(exchange: self))
                endStream(isWhole: true)
            } catch {
                endStream(isWhole: false)
            }
        }
    }

    private func send(_ response: HTTPResponse) -> MHD_Result {
        guard let handle = handle(for: response) else { return .NO }
        defer { MHD_destroy_response(handle) }
        for (name, value) in response.headers { MHD_add_response_header(handle, name, value) }
        if core.isClosing { MHD_add_response_header(handle, "Connection", "close") }
        state.withLock { $0.phase = .sending }
        core.connections.expect(connection, within: core.options.sendTime)
        return MHD_queue_response(connection.pointer, UInt32(response.status), handle)
    }

    private func handle(for response: HTTPResponse) -> OpaquePointer? {
        switch response.body {
        case .bytes(let bytes):
            return bytes.withUnsafeBytes { bytes in
                MHD_create_response_from_buffer(
                    bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), .RESPMEM_MUST_COPY)
            }
        case .stream:
            // Released by the library, when it is done with the answer.
            let owner = Unmanaged.passRetained(self)
            let handle = MHD_create_response_from_callback(
                UInt64.max, Self.blockBytes,
                { owner, _, buffer, room in
                    guard let owner, let buffer else { return ResponseStream.broken }
                    let room = UnsafeMutableRawBufferPointer(start: buffer, count: room)
                    return Unmanaged<Exchange>.fromOpaque(owner).takeUnretainedValue().read(into: room)
                }, owner.toOpaque(),
                { owner in if let owner { Unmanaged<Exchange>.fromOpaque(owner).release() } })
            if handle == nil { owner.release() }
            return handle
        }
    }

    private static let blockBytes = 32 << 10

    /// Gives the library what the handler has written; while there is nothing, the connection is suspended.
    private func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        let (count, writer) = state.withLock { state -> (Int, CheckedContinuation<Bool, Never>?) in
            if let (count, writer) = state.stream.take(into: buffer) { return (count, writer) }
            guard core.connections.suspend(connection, for: self) else { return (ResponseStream.broken, nil) }
            core.connections.expect(connection, within: nil)
            return (0, nil)
        }
        writer?.resume(returning: true)
        return count
    }

    /// The library is done with it, whether the client has read the answer or left.
    func ended() {
        core.connections.expect(connection, within: core.options.requestTime)
        let (task, writer) = state.withLock { state in
            state.phase = .over
            return (state.task, state.stream.end(isWhole: false))
        }
        task?.cancel()
        writer?.resume(returning: false)
    }

    // MARK: On the handler's task

    private func answer(_ response: HTTPResponse) {
        let isFirst = state.withLock { state in
            guard case .handling = state.phase else { return false }
            state.phase = .answered(response)
            return true
        }
        if isFirst { core.connections.resume(connection) }
    }

    /// The handler takes too long.
    func giveUp() {
        // First: a handler that is cancelled may answer at once.
        answer(.refusal(503, "the answer took too long"))
        state.withLock { $0.task }?.cancel()
    }

    /// The client has left.
    func abandon() {
        state.withLock { $0.task }?.cancel()
        answer(.refusal(499, "the client has left"))
        endStream(isWhole: false)
    }

    func write(_ bytes: [UInt8]) async throws(HTTPStreamEnded) {
        guard !bytes.isEmpty else { return }
        let isTaken = await withTaskCancellationHandler {
            await withCheckedContinuation { writer in
                let isAccepted = state.withLock { state in
                    if case .over = state.phase { return false }
                    guard !Task.isCancelled, state.stream.give(bytes, writer) else { return false }
                    // Before the library can have read it, which ends the time again.
                    if case .sending = state.phase { core.connections.expect(connection, within: core.options.sendTime) }
                    return true
                }
                if isAccepted { core.connections.resume(connection) } else { writer.resume(returning: false) }
            }
        } onCancel: {
            state.withLock { $0.stream.end(isWhole: false) }?.resume(returning: false)
        }
        guard isTaken else { throw HTTPStreamEnded() }
    }

    private func endStream(isWhole: Bool) {
        state.withLock { $0.stream.end(isWhole: isWhole) }?.resume(returning: false)
        core.connections.resume(connection)
    }
}
