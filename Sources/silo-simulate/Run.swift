import CommandLineTool
import Foundation
import SiloCore
import SiloEngine
import SiloSimulation
import SiloTesting
import Synchronization

/// What a simulation run found wrong.
struct SimulationFailed: Error, CustomStringConvertible {
    let description: String
}

/// Prints a line at once, also through a pipe.
func say(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

/// Runs seeds, and makes a failure small.
struct Run {
    let without: Set<Scenario.Feature>

    static var featureNames: String { Scenario.Feature.allCases.map(\.rawValue).joined(separator: ", ") }

    static func features(_ text: String?) throws -> Set<Scenario.Feature> {
        Set(try (text ?? "").split(separator: ",").map { name in
            guard let feature = Scenario.Feature(rawValue: String(name)) else {
                throw Arguments.Mistake("--without: there is no \(name); there are \(featureNames)")
            }
            return feature
        })
    }

    // MARK: Many seeds

    private final class Progress: Sendable {
        struct State {
            var next: UInt64
            var done = 0
            var jobs = 0
            var simulated: Int64 = 0
            var branches: [Branch: Int] = [:]
            var failed: [UInt64] = []
        }
        let state: Mutex<State>
        init(from first: UInt64) { state = Mutex(State(next: first)) }
    }

    func seeds(from first: UInt64, count: Int, threads: Int) throws {
        let progress = Progress(from: first)
        let end = first + UInt64(count)
        let begun = ContinuousClock.now
        let threads = threads > 0 ? threads : ProcessInfo.processInfo.activeProcessorCount
        // Each world runs on the thread that called it, and shares nothing with the others.
        DispatchQueue.concurrentPerform(iterations: threads) { _ in
            while let seed = progress.state.withLock({ state -> UInt64? in
                guard state.next < end, state.failed.isEmpty else { return nil }
                defer { state.next += 1 }
                return state.next
            }) {
                let world = World(Scenario(seed: seed, without: without), keeping: .nothing)
                world.run()
                let line: String? = progress.state.withLock { state in
                    state.done += 1
                    state.jobs += world.jobs
                    state.simulated += world.simulatedMilliseconds
                    state.branches.merge(world.branches, uniquingKeysWith: +)
                    if !world.violations.isEmpty { state.failed.append(seed) }
                    guard state.done % max(1, count / 20) == 0 || state.done == count else { return nil }
                    return "\(state.done) of \(count) seeds, \(state.jobs) jobs, \(state.simulated / 60_000) simulated minutes"
                }
                if let line { say("\(line), \(begun.duration(to: .now).components.seconds) s") }
            }
        }
        let state = progress.state.withLock { $0 }
        if let seed = state.failed.min() { throw explain(seed) }
        printBranches(state.branches)
        say("\(state.done) seeds passed")
    }

    /// Those of the engine, as the worlds were told, and those of clients and servers.
    private func printBranches(_ engine: [Branch: Int]) {
        let probes = Probe.reachedCounts
        let counts = Branch.allCases.map { ("\($0)", engine[$0] ?? 0) } + Probe.allCases.map { ($0.rawValue, probes[$0] ?? 0) }
        let never = counts.filter { $0.1 == 0 }.map(\.0)
        say("rare branches reached: \(counts.count - never.count) of \(counts.count)")
        if !never.isEmpty { say("never reached, hence not tested: \(never.joined(separator: ", "))") }
        let rare = counts.filter { 1..<20 ~= $0.1 }.sorted { $0.1 < $1.1 }.map { "\($0.0) \($0.1)" }
        if !rare.isEmpty { say("reached less than 20 times: \(rare.joined(separator: ", "))") }
    }

    // MARK: One seed

    /// Prints the whole trace.
    func replay(_ seed: UInt64) throws {
        let scenario = Scenario(seed: seed, without: without)
        let world = World(scenario, keeping: .all)
        world.run()
        say("\(scenario)")
        for line in world.traceLines { say(line) }
        say("\(world.jobs) jobs, \(world.simulatedMilliseconds) ms, trace \(String(world.traceFingerprint, radix: 16))")
        guard world.violations.isEmpty else {
            throw SimulationFailed(description: "seed \(seed): " + world.violations.joined(separator: "\n"))
        }
        say("seed \(seed) passed")
    }

    /// Takes away what the failure does not need, and tells what is left.
    private func explain(_ seed: UInt64) -> SimulationFailed {
        say("seed \(seed) failed; making it smaller")
        var taken = without
        for feature in Scenario.Feature.allCases where Scenario(seed: seed, without: taken).has(feature) {
            let world = World(Scenario(seed: seed, without: taken.union([feature])), keeping: .nothing)
            world.run()
            if !world.violations.isEmpty { taken.insert(feature) }
        }
        var seconds = Scenario(seed: seed).loadSeconds
        while seconds > 4 {
            let world = World(Scenario(seed: seed, without: taken, loadSeconds: seconds * 3 / 4), keeping: .nothing)
            world.run()
            guard !world.violations.isEmpty else { break }
            seconds = seconds * 3 / 4
        }
        let scenario = Scenario(seed: seed, without: taken, loadSeconds: seconds)
        let world = World(scenario, keeping: .all)
        world.run()
        let commit = ProcessInfo.processInfo.environment["SILO_COMMIT"] ?? "unknown"
        let flags = taken.isEmpty ? "" : " WITHOUT=" + taken.map(\.rawValue).sorted().joined(separator: ",")
        return SimulationFailed(description: """
            seed \(seed), commit \(commit)
            \(scenario)
            replay: make simulate SEED=\(seed)\(flags)
            trace of what it is about, \(Self.linesMax) lines at most:
            \(Self.about(world.violations, world.traceLines).joined(separator: "\n"))
            found:
            \(world.violations.prefix(10).joined(separator: "\n"))
            """)
    }

    private static let linesMax = 60

    /// The lines that name a job or a key that the violations name, and what the faults were.
    private static func about(_ violations: [String], _ lines: [String]) -> [String] {
        let words = Set(
            violations.joined(separator: " ").split(whereSeparator: { " :,;()".contains($0) }).map(String.init).filter {
                $0.contains("/") || $0.contains("-")
            })
        let end = lines.firstIndex { $0.contains("VIOLATION") }.map { $0 + 1 } ?? lines.count
        let chosen = lines[..<end].filter { line in
            line.contains("chaos:") || line.contains("VIOLATION") || line.contains("crash")
                || words.contains { line.contains($0) }
        }
        return Array(chosen.suffix(linesMax))
    }
}

/// How fast simulated time passes.
struct Bench {
    func run() throws {
        let begun = ContinuousClock.now
        var simulated: Int64 = 0
        var seeds = 0
        while begun.duration(to: .now) < .seconds(20) {
            seeds += 1
            // Where clocks differ, hours pass in which little happens: they would make it look fast.
            let world = World(Scenario(seed: UInt64(seeds), without: [.clocks, .clockSteps]), keeping: .nothing)
            world.run()
            guard world.violations.isEmpty else { throw SimulationFailed(description: "seed \(seeds): \(world.violations)") }
            simulated += world.simulatedMilliseconds
        }
        let passed = begun.duration(to: .now)
        let seconds = Double(passed.components.seconds) + Double(passed.components.attoseconds) / 1e18
        say("\(seeds) seeds of 3 workers, \(simulated / 60_000) simulated minutes in \(seconds) s on one thread")
        say("SIMULATED_MINUTES_PER_SECOND \(Double(simulated) / 60_000 / seconds)")
    }
}
