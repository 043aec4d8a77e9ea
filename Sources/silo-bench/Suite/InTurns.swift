/// Two rates that are measured in turns: each of the one beside those of the other around it, so that a machine that becomes
/// slower or faster by and by does not count.
struct InTurns {
    private(set) var measured: [Double] = []
    private(set) var around: [Double] = []
    private(set) var shares: [Double] = []

    /// - Parameter first: of the rate that stands around, measured before all.
    init(_ first: Double) { around.append(first) }

    mutating func add(_ rate: Double, then next: Double) {
        shares.append(2 * rate / (around[around.count - 1] + next))
        measured.append(rate)
        around.append(next)
    }

    /// The median of `measured` over those beside it.
    var share: Double { shares.median }

    /// For a note: both rates, and by how much rounds differ.
    var note: String {
        "\(Text.number(measured.median, 0))/s, beside \(Text.number(around.median, 0))/s; \(shares.count) rounds from "
            + "\(Text.number(shares.min() ?? 0, 2)) to \(Text.number(shares.max() ?? 0, 2))"
    }
}
