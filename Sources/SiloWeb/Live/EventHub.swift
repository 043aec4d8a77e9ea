import HTTPServer
import Synchronization

/// The streams of events that are open. So many of them, and so many to one address; who reads too slowly is let go, and comes
/// again.
final class EventHub: Sendable {
    private struct Listener {
        let topic: String
        let address: String
        let events: AsyncStream<[UInt8]>.Continuation
        /// It has had every region once.
        var isCurrent = false
    }
    private struct State {
        var listeners: [Int: Listener] = [:]
        var next = 0
        /// What was sent last of each region, by topic.
        var last: [String: [String: HTML]] = [:]
    }
    private let state = Mutex(State())

    static let streamsMax = 128
    static let streamsPerAddressMax = 32
    /// Events that wait for a client to read.
    private static let waitingMax = 8

    func hasListeners(_ topic: String) -> Bool { state.withLock { $0.listeners.values.contains { $0.topic == topic } } }

    var count: Int { state.withLock { $0.listeners.count } }

    /// Sends what has changed since the last time.
    func publish(_ topic: String, _ regions: [LiveTopic.Region]) {
        state.withLock { state in
            let last = state.last[topic] ?? [:]
            let changed = regions.filter { last[$0.id] != $0.content }
            state.last[topic] = Dictionary(regions.map { ($0.id, $0.content) }) { _, last in last }
            let (all, some) = (EventFrame.regions(regions), changed.isEmpty ? EventFrame.pulse : EventFrame.regions(changed))
            for (id, listener) in state.listeners where listener.topic == topic {
                state.listeners[id]?.isCurrent = true
                if case .dropped = listener.events.yield(listener.isCurrent ? some : all) { listener.events.finish() }
            }
        }
    }

    /// The stream of a topic, or why there is none.
    func stream(_ topic: LiveTopic, for visit: Visit) -> HTTPResponse {
        guard let (id, events) = add(topic.name, visit.request.address) else {
            var refusal = HTTPResponse.text(
                "too many live streams are open: at most \(Self.streamsMax), and \(Self.streamsPerAddressMax) to one address\n",
                status: 503)
            refusal.headers += [("Retry-After", "15"), ("Connection", "close"), ("Cache-Control", "no-store")]
            return refusal
        }
        return HTTPResponse(
            headers: [
                ("Content-Type", "text/event-stream"), ("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"),
            ],
            body: .stream { [self] writer in
                defer { remove(id) }
                try await writer.write(EventFrame.hello)
                for await event in events {
                    // Whoever lost the token meanwhile sees no more.
                    guard case .visit(let now) = visit.site.door(visit.request), now.may(topic.needs) else { return }
                    try await writer.write(event)
                }
            })
    }

    /// Every stream ends; its client comes again.
    func endAll() {
        let all = state.withLock { state in
            defer { state.listeners = [:] }
            return Array(state.listeners.values)
        }
        for listener in all { listener.events.finish() }
    }

    private func add(_ topic: String, _ address: String) -> (Int, AsyncStream<[UInt8]>)? {
        state.withLock { state in
            guard state.listeners.count < Self.streamsMax,
                state.listeners.values.count(where: { $0.address == address }) < Self.streamsPerAddressMax
            else { return nil }
            let (events, continuation) = AsyncStream<[UInt8]>.makeStream(bufferingPolicy: .bufferingOldest(Self.waitingMax))
            state.next += 1
            state.listeners[state.next] = Listener(topic: topic, address: address, events: continuation)
            return (state.next, events)
        }
    }

    private func remove(_ id: Int) {
        let listener = state.withLock { $0.listeners.removeValue(forKey: id) }
        listener?.events.finish()
    }
}
