import SiloCore
import Testing

@testable import SiloWeb

/// How fast task groups go, as their pages tell.
@Suite(.timeLimit(.minutes(10))) struct GroupHistoryTests {
    private func group(ready: Int64, started: UInt64, ended: [UInt64] = []) -> Figures.Group {
        var group = Figures.Group("g")
        group.jobs.ready = ready
        group.started = started
        group.runTime = ended
        group.ended = ended.reduce(0, +)
        return group
    }

    private func history(_ groups: [Figures.Group], every milliseconds: Int64 = 10_000) -> GroupHistory {
        var history = GroupHistory()
        for (index, group) in groups.enumerated() {
            var figures = Figures()
            figures.groups = [group]
            history.add(figures, at: Timestamp(Int64(index) * milliseconds))
        }
        return history
    }

    @Test("a backlog that shrinks says when it is empty, one that does not says so")
    func empty() {
        let shrinking = [group(ready: 100, started: 0), group(ready: 80, started: 40)]
        #expect(history(shrinking).pace(of: shrinking[1])?.emptyIn == "in 40 s")
        #expect(history(shrinking).pace(of: shrinking[1])?.startedPerSecond == 4)
        let growing = [group(ready: 10, started: 0), group(ready: 80, started: 40)]
        #expect(history(growing).pace(of: growing[1])?.emptyIn == "it grows")
        let idle = [group(ready: 10, started: 0), group(ready: 10, started: 0)]
        #expect(history(idle).pace(of: idle[1])?.emptyIn == "nothing starts")
        let done = [group(ready: 10, started: 0), group(ready: 0, started: 10)]
        #expect(history(done).pace(of: done[1])?.emptyIn == "empty")
    }

    @Test("rates are of the last minute, and unknown until somebody has looked twice")
    func minute() {
        let now = group(ready: 0, started: 10)
        #expect(history([now]).pace(of: now) == nil)
        let many = (0...30).map { (second: UInt64) in
            let started: UInt64 = second < 20 ? 0 : (second - 20) * 10
            return group(ready: 0, started: started, ended: [second])
        }
        let pace = history(many).pace(of: many[30])
        #expect(pace?.startedPerSecond == 1 && pace?.endedPerSecond == 0.1 && pace?.runTime.total == 6)
    }
}
