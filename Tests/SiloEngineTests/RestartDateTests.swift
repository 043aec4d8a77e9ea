import SiloEngine
import SiloTesting
import Testing

/// When a job that is restarted starts.
@Suite(.timeLimit(.minutes(10))) struct RestartDateTests {
    @Test(
        "a job that was expedited past its date starts at once when it is restarted",
        arguments: ["waiting", "failed", "cancelled"])
    func expedited(how: String) async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 3_600_000)
        try await bench.expedite("a")
        if how != "waiting" {
            let task = try await bench.leaseOne()
            if how == "failed" { try await bench.fail(task) } else { try await bench.report(task, .cancelled) }
        }
        if how == "waiting" { try await bench.cancel("a") }
        try await bench.restart("a")
        #expect(try await bench.drain(1) == ["a"])
        try await bench.finish()
    }

    @Test("one that never left its date waits for it, however often it is cancelled and restarted")
    func waits() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 3_600_000)
        for _ in 0..<3 {
            try await bench.pass(1000)
            try await bench.cancel("a")
            try await bench.restart("a")
            #expect(try await bench.drain(1) == [])
        }
        try await bench.pass(3_597_000)
        #expect(try await bench.drain(1) == ["a"])
        try await bench.finish()
    }

    @Test("one that was cancelled while it waited for a retry starts at once")
    func retried() async throws {
        let bench = try await Bench.open()
        try await bench.enqueue("a", after: 3_600_000, retries: 3)
        let task = try await bench.leaseJob("a")
        try await bench.fail(task)
        try await bench.cancel("a")
        try await bench.restart("a")
        #expect(try await bench.drain(1) == ["a"])
        try await bench.finish()
    }
}
