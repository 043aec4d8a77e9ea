#if canImport(Glibc)
import Glibc
#endif
import Testing

/// How many seeds the simulation tests run: `SILO_MODEL_SEEDS`, from `SILO_MODEL_FROM` on.
enum Seeds {
    static func range(_ standard: Int) -> Range<UInt64> {
        let from = number("SILO_MODEL_FROM") ?? 1
        return UInt64(from)..<UInt64(from + (number("SILO_MODEL_SEEDS") ?? standard))
    }

    private static func number(_ name: String) -> Int? { getenv(name).flatMap { Int(String(cString: $0)) } }

    /// Runs `body` for every seed, some at a time, and records the first few that fail.
    static func forEach(_ seeds: Range<UInt64>, _ body: @escaping @Sendable (UInt64) async throws -> Void) async {
        await withTaskGroup(of: String?.self) { group in
            var seeds = seeds.makeIterator()
            func start() {
                guard let seed = seeds.next() else { return }
                group.addTask {
                    do {
                        try await body(seed)
                        return nil
                    } catch {
                        return "seed \(seed): \(error)"
                    }
                }
            }
            for _ in 0..<4 { start() }
            var failures = 0
            while let failure = await group.next() {
                if let failure {
                    failures += 1
                    if failures <= 3 { Issue.record("\(failure)") }
                }
                if failures < 3 { start() }
            }
        }
    }
}

@Suite(.timeLimit(.minutes(20))) struct ModelTests {
    @Test("J1 to J13, J18 to J37: a shard does what the model does, step by step, through crashes and failing stores")
    func model() async {
        await Seeds.forEach(Seeds.range(200)) { seed in
            try await Simulation(seed: seed).run(steps: 60)
        }
    }
}
