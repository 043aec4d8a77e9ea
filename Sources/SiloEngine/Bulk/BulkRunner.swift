import SiloCore
import SiloStore

/// Does a shard's bulk actions for as long as it is open.
///
/// It looks for jobs beside the loop, page by page on views of the moment, and hands them to it in small steps, one at a time. So
/// new work never waits behind more than one step; and where others ask for something meanwhile, a step is followed by a pause
/// that is much longer than it was. Several actions take turns, page by page.
final class BulkRunner {
    private let store: any KeyValueStore
    private let clock: any Clock
    private let mailbox: Mailbox
    private let gauge: ShardGauge
    private let finder: any JobFinder
    private let onEnd: @Sendable (StorageV1.BulkAction) -> Void
    private var pages: [BulkID: Page] = [:]
    private var courtesy: Courtesy

    /// How many jobs an action looks at, at once: few where they change quickly, many where few of them meet the condition.
    private struct Page {
        var rows = 256
        /// The job before which the last step ended, as it had changed since it was found, and for how many steps in a row it was
        /// that one, or any.
        private var changed: (job: Bytes, tries: Int)?
        private var tries = 0

        private static let rowsRange = 16...16_384
        private static let jobsMany = 512
        private static let triesOfOneMax = 3
        private static let triesMax = 100

        /// A job that workers take before it can be acted on is gone from what is found next; one that is found again and again
        /// and has changed each time is given up.
        func givesUp(_ job: Bytes) -> Bool {
            tries >= Self.triesMax || (changed?.job == job && changed?.tries ?? 0 >= Self.triesOfOneMax)
        }

        mutating func ended(jobs: Int) {
            (changed, tries) = (nil, 0)
            rows = jobs > Self.jobsMany ? max(Self.jobsMany, rows / 2) : min(rows * 2, Self.rowsRange.upperBound)
        }

        mutating func hasChanged(_ job: Bytes, afterSome: Bool) {
            tries = afterSome ? 1 : tries + 1
            changed = (job, changed?.job == job ? (changed?.tries ?? 0) + 1 : 1)
            rows = max(rows / 4, Self.rowsRange.lowerBound)
        }

        /// - Returns: false: fewer cannot be looked at.
        mutating func wasTooSlow() -> Bool {
            defer { rows = max(1, rows / 8) }
            return rows > 1
        }
    }

    private static let patienceMilliseconds: Int64 = 1000

    /// - Parameter onEnd: is told of each action that came to its end, when that is durable; not of those that a caller stops.
    init(
        store: any KeyValueStore, clock: any Clock, mailbox: Mailbox, gauge: ShardGauge, finder: any JobFinder,
        onEnd: @escaping @Sendable (StorageV1.BulkAction) -> Void
    ) {
        self.store = store
        self.clock = clock
        self.mailbox = mailbox
        self.gauge = gauge
        self.finder = finder
        self.onEnd = onEnd
        courtesy = Courtesy(mailbox, clock, ofStep: 16, pauses: 16...16_000)
    }

    /// Until the task is cancelled.
    func run() async {
        for await _ in gauge.bulkChanges {
            while true {
                let running = gauge.bulks.filter(\.value.goesOn).sorted { $0.key < $1.key }
                pages = pages.filter { page in running.contains { $0.key == page.key } }
                if running.isEmpty { break }
                do {
                    for (id, action) in running { try await turn(of: id, action) }
                } catch {
                    // What cannot be done now, because there is too much to do, is done another time.
                    guard (try? await clock.sleep(milliseconds: Self.patienceMilliseconds)) != nil else { return }
                }
            }
        }
    }

    /// One page.
    private func turn(of id: BulkID, _ action: StorageV1.BulkAction) async throws {
        guard let span = action.left.first else { return try await end(id, nil) }
        let page = pages[id] ?? Page()
        let search = JobSearch(
            condition: action.condition, tenants: action.scope.tenants, now: Timestamp(action.startedAtMs), from: span.from,
            to: span.to, rowsMax: page.rows)
        let found: FoundJobs
        let began = clock.steady
        do throws(FindError) {
            found = try await find(search)
        } catch {
            switch error {
            case .cannot(let text): return try await end(id, text)
            case .tooSlow(let text):
                pages[id] = page
                if pages[id]?.wasTooSlow() == false { try await end(id, text) }
                return
            case .store(let failure):
                // It may be slow: with fewer it is asked for less.
                pages[id] = page
                _ = pages[id]?.wasTooSlow()
                throw failure
            }
        }
        let ended = clock.steady
        try await act(on: found, id, from: span.from)
        try await courtesy.breathe(afterSearch: ended - began, since: ended)
    }

    private func find(_ search: JobSearch) async throws(FindError) -> FoundJobs {
        let view: any StoreReader
        do throws(StoreError) { view = try await store.snapshot() } catch { throw .store(error) }
        return try await finder.find(search, in: view, at: clock.moment)
    }

    /// Hands what was found to the loop.
    private func act(on found: FoundJobs, _ id: BulkID, from start: Bytes) async throws {
        var page = pages[id] ?? Page()
        defer { pages[id] = page }
        var position = start
        var index = 0
        repeat {
            let jobs = Array(found.jobs[index...].prefix(BulkStep.jobsMax))
            let isLast = index + jobs.count == found.jobs.count
            let step = BulkStep(
                id: id, from: position, jobs: jobs, noted: index == 0 ? 0 : found.jobs[index - 1].row,
                next: isLast ? found.next : jobs.last.map { $0.key + [0] },
                rows: isLast ? found.rows : jobs.last?.row ?? 0,
                givesUp: index == 0 && jobs.first.map { page.givesUp($0.key) } ?? false)
            let answer = try await mailbox.run(step)
            if answer.isUnanswered { throw StoreError.unavailable("the store does not answer") }
            try await courtesy.breathe(afterStep: answer.milliseconds)
            if let ended = answer.ended { onEnd(ended) }
            guard let next = answer.position else { return }
            if answer.hasChanged, answer.passed < jobs.count {
                return page.hasChanged(jobs[answer.passed].key, afterSome: index + answer.passed > 0)
            }
            position = next
            index += answer.passed
        } while index < found.jobs.count
        page.ended(jobs: found.jobs.count)
    }

    private func end(_ id: BulkID, _ error: String?) async throws {
        if let ended = try await mailbox.run(EndBulk(id: id, error: error)) { onEnd(ended) }
    }
}
