import SiloCore

/// What task groups counted in the last minute, in steps of some seconds.
struct GroupHistory: Sendable {
    private struct Mark: Sendable {
        let at: Timestamp
        let groups: [ExactText: Figures.Group]
    }
    private static let stepMilliseconds: Int64 = 5000
    private static let spanMilliseconds: Int64 = 60_000
    /// Oldest first.
    private var marks: [Mark] = []
    private var now = Timestamp(0)

    mutating func add(_ figures: Figures, at steady: Timestamp) {
        now = steady
        guard marks.last.map({ steady - $0.at >= Self.stepMilliseconds }) ?? true else { return }
        marks.append(Mark(at: steady, groups: Dictionary(figures.groups.map { (ExactText($0.name), $0) }) { first, _ in first }))
        while marks.count > 1, steady - marks[1].at >= Self.spanMilliseconds { marks.removeFirst() }
    }

    /// Nil: nobody has looked for long enough.
    func pace(of group: Figures.Group) -> GroupPace? {
        guard let mark = marks.first, now - mark.at > 0 else { return nil }
        let before = mark.groups[ExactText(group.name)] ?? Figures.Group(group.name)
        return GroupPace(from: before, to: group, milliseconds: now - mark.at)
    }
}

/// How fast a task group goes, over a minute.
struct GroupPace: Sendable {
    let startedPerSecond: Double
    let endedPerSecond: Double
    /// How fast its backlog shrinks; negative where it grows.
    let drainPerSecond: Double
    let runTime: Latencies
    private let backlog: Int64

    init(from before: Figures.Group, to now: Figures.Group, milliseconds: Int64) {
        let seconds = Double(milliseconds) / 1000
        startedPerSecond = Double(now.started &- min(before.started, now.started)) / seconds
        endedPerSecond = Double(now.ended &- min(before.ended, now.ended)) / seconds
        drainPerSecond = Double(before.backlog - now.backlog) / seconds
        runTime = Latencies(from: before.runTime, to: now.runTime)
        backlog = now.backlog
    }

    /// When nothing will wait any more, in words.
    var emptyIn: String {
        guard backlog > 0 else { return "empty" }
        guard startedPerSecond > 0 else { return "nothing starts" }
        guard drainPerSecond > 0 else { return drainPerSecond < 0 ? "it grows" : "it stays" }
        return "in " + Quantity.duration(milliseconds: Double(backlog) / drainPerSecond * 1000)
    }
}
