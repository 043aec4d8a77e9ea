import HTTPServer
import TestSupport
import Testing

@testable import SiloWeb

/// Clients of live updates that read slowly, or not at all.
@Suite(.timeLimit(.minutes(10))) struct EventStreamTests {
    private static let regionBytes = 256 << 10

    /// A client of the stream that has had the first event. Its bytes come as they are: HTTP/1.0 has no chunks.
    private func client(of counting: CountingSite) async throws -> RawConnection {
        let client = try RawConnection(to: counting.server.port, receiveBytes: 4096)
        client.send("GET /live/counter HTTP/1.0\r\nHost: 127.0.0.1:\(counting.server.port)\r\n\r\n")
        var head = ""
        while !head.hasSuffix("\r\n\r\n") {
            let byte = await client.read(1)
            try #require(byte.count == 1, "\(head)")
            head.append(String(decoding: byte, as: UTF8.self))
        }
        #expect(head.contains(" 200 "))
        #expect(await client.read(EventFrame.hello.count) == EventFrame.hello)
        return client
    }

    /// Something new for all who look, each time of the same length.
    private func region(_ number: Int) -> LiveTopic.Region {
        LiveTopic.Region("count", "\(1000 + number) \(String(repeating: "x", count: Self.regionBytes))")
    }

    @Test func `who stops reading is let go, and its place is free`() async throws {
        let counting = try CountingSite(sendTime: .seconds(1))
        let hub = counting.site.hub
        let client = try await client(of: counting)
        #expect(hub.count == 1)
        // More than the system takes for whoever does not read; nothing else waits for it.
        let parts = 64
        hub.publish("counter", [LiveTopic.Region("count", HTML(joining: Array(repeating: region(0).content, count: parts)))])
        try await eventually("it is let go") { hub.count == 0 }
        try await eventually("its connection is closed") { counting.server.connectionCount == 0 }
        // All that is left for it lies in the system's buffers.
        #expect(await client.read().count < parts * Self.regionBytes)
        let other = try await self.client(of: counting)
        #expect(hub.count == 1)
        withExtendedLifetime(other) {}
        await counting.server.stop(grace: .seconds(5))
    }

    @Test func `who falls behind gets what waits for it and then the end, and others go on`() async throws {
        let counting = try CountingSite(sendTime: .seconds(300))
        let hub = counting.site.hub
        let (slow, quick) = (try await client(of: counting), try await client(of: counting))
        func quickGets(_ number: Int) async {
            hub.publish("counter", [region(number)])
            let event = EventFrame.regions([region(number)])
            #expect(await quick.read(event.count) == event, "event \(number)")
        }
        let events = 64
        for number in 0..<events { await quickGets(number) }
        let eventBytes = EventFrame.regions([region(0)]).count
        let late = await slow.read()
        #expect(late.count % eventBytes == 0 && (1..<events).contains(late.count / eventBytes), "\(late.count / eventBytes)")
        #expect(hub.count == 1)
        await quickGets(events)
        await counting.server.stop(grace: .seconds(5))
    }
}
