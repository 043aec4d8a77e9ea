public import SiloCore
import Synchronization

/// What happened in a simulation, line by line, each with its moment. Two runs of one seed have the same trace.
public final class Trace: Sendable {
    /// Which lines are kept. All of them count for the fingerprint, but where none is kept.
    public enum Extent: Sendable {
        case all, nothing
        case last(Int)
    }

    private struct State {
        var lines: [String] = []
        var count = 0
        /// FNV-1a, 64 bits.
        var fingerprint: UInt64 = 0xcbf2_9ce4_8422_2325
    }
    private let state = Mutex(State())
    private let extent: Extent
    private let clock: SimulatedClock
    private let begun: Int64

    public init(_ clock: SimulatedClock, keeping extent: Extent) {
        self.clock = clock
        self.extent = extent
        begun = clock.microseconds
    }

    public func note(_ text: @autoclosure () -> String) {
        if case .nothing = extent { return }
        let microseconds = clock.microseconds - begun
        let fraction = String(microseconds % 1_000_000 + 1_000_000).dropFirst()
        let line = "\(microseconds / 1_000_000).\(fraction) \(text())"
        state.withLock { state in
            state.count += 1
            for byte in line.utf8 { state.fingerprint = (state.fingerprint ^ UInt64(byte)) &* 0x100_0000_01b3 }
            state.lines.append(line)
            if case .last(let countMax) = extent, state.lines.count >= 2 * countMax {
                state.lines.removeFirst(state.lines.count - countMax)
            }
        }
    }

    public var lines: [String] {
        let lines = state.withLock { $0.lines }
        if case .last(let countMax) = extent { return Array(lines.suffix(countMax)) }
        return lines
    }

    /// Lines so far, kept or not.
    public var count: Int { state.withLock { $0.count } }
    public var fingerprint: UInt64 { state.withLock { $0.fingerprint } }
}
