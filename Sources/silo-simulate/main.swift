import CommandLineTool
import Foundation

let usage = Usage(
    "silo-simulate", "Runs whole Silo clusters on a seed, with simulated time and faults, and checks every promise.",
    commands: [
        .init("", help: "", options: [
            .init("seeds", "n", "count", help: "seeds to run (200)"),
            .init("from", nil, "seed", help: "the first of them (1)"),
            .init("seed", "s", "seed", help: "run one seed and print its whole trace"),
            .init("without", nil, "features", isList: true, help: "take some away; a failure names those that matter"),
            .init("threads", nil, "count", help: "seeds that run at once (one for each processor)"),
            .init("bench", nil, nil, help: "measure how fast simulated time passes, with 3 workers, on one thread"),
        ]),
    ],
    notes: """
        A failure prints its seed, the commit (environment SILO_COMMIT), the features without which it does not happen, and the
        part of the trace that is about it. The same seed gives the same trace, byte for byte. Rare branches that no seed reached
        were not tested, and are named; that is no failure.

        The features: \(Run.featureNames).
        """
)

await Program.run(usage) { arguments in
    let features = try Run.features(arguments.text("without"))
    if arguments.has("bench") { return try Bench().run() }
    if let seed = arguments.text("seed") {
        guard let seed = UInt64(seed) else { throw Arguments.Mistake("--seed must be a whole number, not \(seed)") }
        return try Run(without: features).replay(seed)
    }
    try Run(without: features).seeds(
        from: UInt64(try arguments.number("from", default: 1, in: 0...Int.max)),
        count: try arguments.number("seeds", default: 200, in: 1...100_000_000),
        threads: try arguments.number("threads", default: 0, in: 0...256)
    )
}
