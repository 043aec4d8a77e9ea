import Foundation

/// How many simulated minutes of a small cluster pass in a real second: asked of the simulation's own program.
struct SimulationSpeed {
    let place: Suite.Place

    func measure(_ results: inout Results) throws {
        say("\nsimulation: seeds of 3 workers on one thread for 20 s")
        let program = URL(fileURLWithPath: place.server).deletingLastPathComponent().appendingPathComponent("silo-simulate")
        let process = Process()
        process.executableURL = program
        process.arguments = ["--bench"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let text = String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        process.waitUntilExit()
        let lines = text.split(separator: "\n")
        guard process.terminationStatus == 0, let last = lines.last, last.hasPrefix("SIMULATED_MINUTES_PER_SECOND "),
            let rate = Double(last.split(separator: " ")[1])
        else { throw Failure("\(program.path) --bench failed: \(text.suffix(500))") }
        results.set(.simulated_minutes_per_s, rate, lines.first.map(String.init) ?? "")
    }
}
