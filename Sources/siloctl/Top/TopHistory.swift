import SiloAPI
import SiloCore

/// What servers said in the last minute, from which follows how fast all goes.
struct TopHistory: Sendable {
    /// Oldest first.
    private var samples: [(nodes: [SiloV1.GetOverviewResponse], at: Timestamp)] = []

    /// The spans that rates of now and quantiles are of, as on the web page.
    static let rateMilliseconds: Int64 = 5000
    static let minuteMilliseconds: Int64 = 60_000
    private static let samplesMax = 1000

    /// - Parameter steady: of a clock that never goes back.
    mutating func add(_ nodes: [SiloV1.GetOverviewResponse], at steady: Timestamp) {
        samples.append((nodes, steady))
        while samples.count > 1, steady - samples[1].at >= Self.minuteMilliseconds || samples.count > Self.samplesMax {
            samples.removeFirst()
        }
    }

    /// What happened since the youngest sample that is so old, or else since the oldest.
    func pace(over milliseconds: Int64) -> TopPace {
        guard let last = samples.last else { return TopPace() }
        let first = samples.dropLast().last { last.at - $0.at >= milliseconds } ?? samples[0]
        var pace = TopPace()
        for node in last.nodes {
            // One that was started anew counts from zero.
            let before = first.nodes.first { $0.nodeId == node.nodeId && $0.startedAtMs == node.startedAtMs }
            if let before, node.steadyMs > before.steadyMs { pace.add(from: before, to: node) }
        }
        return pace
    }
}

/// How fast things go, of all servers together.
struct TopPace: Sendable {
    /// In a second.
    struct Rates: Sendable {
        var enqueued = 0.0
        var started = 0.0
        var finished = 0.0
        var failed = 0.0
    }
    struct Group: Sendable {
        var started = 0.0
        var ended = 0.0
        /// How fast its backlog shrinks; negative where it grows.
        var drain = 0.0
    }
    /// Nil: it was looked at once only, or nothing is measured.
    private(set) var rates: Rates?
    private(set) var groups: [ExactText: Group] = [:]
    private(set) var readyToStart = Latencies()
    private(set) var runTime = Latencies()
    private(set) var bounds: [Int64] = []

    fileprivate mutating func add(from before: SiloV1.GetOverviewResponse, to now: SiloV1.GetOverviewResponse) {
        guard now.isMeasured else { return }
        let seconds = Double(now.steadyMs - before.steadyMs) / 1000
        func rate(_ count: KeyPath<SiloV1.GetOverviewResponse, UInt64>) -> Double {
            Double(now[keyPath: count] &- min(before[keyPath: count], now[keyPath: count])) / seconds
        }
        var sum = rates ?? Rates()
        sum.enqueued += rate(\.enqueued)
        sum.started += rate(\.started)
        sum.finished += rate(\.succeeded) + rate(\.failed)
        sum.failed += rate(\.failed)
        rates = sum
        bounds = now.boundsMs
        readyToStart.add(Latencies(from: before.readyToStart, to: now.readyToStart))
        runTime.add(Latencies(from: before.runTime, to: now.runTime))
        let earlier = Dictionary(before.groups.map { (ExactText($0.taskGroup), $0) }) { first, _ in first }
        for group in now.groups {
            let name = ExactText(group.taskGroup)
            let first = earlier[name] ?? .init()
            var sum = groups[name] ?? Group()
            sum.started += Double(group.started &- min(first.started, group.started)) / seconds
            sum.ended += Double(group.ended &- min(first.ended, group.ended)) / seconds
            sum.drain += Double(first.backlog - group.backlog) / seconds
            groups[name] = sum
        }
    }
}

extension SiloV1.OverviewGroup {
    var backlog: Int64 { (jobs?.ready ?? 0) + (jobs?.waiting ?? 0) }
}
