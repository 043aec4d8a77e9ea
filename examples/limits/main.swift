import CommandLineTool
import Foundation
import SiloClient

// Jobs with limits, against a server that runs: `make serve`, then `.build/release/limits`.
// Twelve calls of an API that allows two at once, until somebody asks it and hears that it allows four.

let usage = Usage(
    "limits", "Runs jobs that share a limit.",
    commands: [.init("", help: "", options: [.init("address", "a", "host:port", help: "of a server (127.0.0.1:7450)")])]
)
await Program.run(usage) { arguments in
    let silo = Client(arguments.text("address", default: "127.0.0.1:7450"))
    // When nobody is there it says so at once; an enqueue tries on for a while.
    try await silo.ping()
    let group = "limits-\(UInt32.random(in: 0 ... .max))"

    let jobs = try (1...12).map { number in
        var job = try NewJob(group, number)
        job.limits = [
            .floating("\(group)-api", initialMax: 2, refreshEvery: .seconds(60), metadata: ["url": "https://example.com/quota"]),
            .rate("calls", key: group, 1000, per: .calendar(.hour)),
        ]
        return job
    }
    let handles = try await silo.enqueue(jobs).map { try $0.get() }
    for handle in handles {
        let explanation = try await handle.explain()
        if explanation.obstacles.contains(where: { $0.kind == .floating }) {
            print(explanation.summary)
            break
        }
    }

    let worker = Worker(silo, group: group) { task in
        try await Task.sleep(for: .milliseconds(100))
        return try .success(task.payload.decode(as: Int.self) * 2)
    } refresh: { limit in
        // Here an application asks limit.metadata["url"].
        print("\(limit.currentMax) at once were allowed; from now on it is 4")
        return 4
    }
    async let running: Void = worker.run()
    for handle in handles {
        guard case .succeeded = try await handle.awaitResult(every: .milliseconds(50), timeout: .seconds(60)) else {
            throw ClientError.refused("job \(handle.id) did not succeed")
        }
    }
    worker.stop()
    await running
    print("\(handles.count) jobs done")
}
