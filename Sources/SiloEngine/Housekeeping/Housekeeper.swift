import SiloCore
import SiloStore

/// What a shard does beside its loop for as long as it is open: tenants are dropped, and finished jobs go when their time is
/// over.
///
/// It looks for what is to be done on its own task and hands it to the loop in small steps, one at a time, so that the loop
/// reads nothing that is not to be deleted, and new work never waits behind more than one step. While there is work a step is
/// followed by a pause that is forty times as long, of a second at most; by a shorter one in a sweep after one that took longer
/// than a minute, so that what becomes due day by day also goes.
final class Housekeeper {
    private let store: any KeyValueStore
    private let clock: any Clock
    private let mailbox: Mailbox
    private let board: RetainedBoard
    private let gauge: ShardGauge
    private let pauseMilliseconds: Int64
    private let bulkKeptMilliseconds: Int64
    private let dates: RetentionClock

    private var courtesy: Courtesy
    /// Of the next sweep: how many times as long as a step the pause after it is.
    private var pace = Housekeeper.ofStep.upperBound

    private static let page = 256
    private static let ofStep: ClosedRange<Int64> = 2...40
    private static let sweepMilliseconds: Int64 = 60_000

    init(
        store: any KeyValueStore, clock: any Clock, mailbox: Mailbox, board: RetainedBoard, gauge: ShardGauge,
        dates: RetentionClock, settings: EngineSettings
    ) {
        self.store = store
        self.clock = clock
        self.mailbox = mailbox
        self.board = board
        self.gauge = gauge
        pauseMilliseconds = settings.housekeepingPauseMilliseconds
        bulkKeptMilliseconds = settings.bulkKeptMilliseconds
        self.dates = dates
        courtesy = Courtesy(mailbox, clock, ofStep: Self.ofStep.upperBound, pauses: 0...1000)
    }

    /// Until the task is cancelled.
    func run(every milliseconds: Int64) async {
        while (try? await clock.sleep(milliseconds: milliseconds)) != nil {
            // What is refused, because there is too much to do, is done another time.
            try? await dropTenants()
            try? await sweep()
            try? await forgetBulks()
        }
    }

    private func forgetBulks() async throws {
        let horizon = (clock.now + -bulkKeptMilliseconds).milliseconds
        guard gauge.bulks.values.contains(where: { !$0.goesOn && $0.endedAtMs < horizon }) else { return }
        try await mailbox.run(ForgetBulks())
    }

    private func dropTenants() async throws {
        for tenant in gauge.drops.keys.sorted(by: { $0.name < $1.name }) {
            while true {
                let answer = try await mailbox.run(DropStep(tenant: tenant))
                if answer.isUnanswered { throw StoreError.unavailable("the store does not answer") }
                try await breathe(after: answer.milliseconds)
                if answer.isDone { break }
            }
        }
    }

    /// Erases what is due when it begins. What becomes due meanwhile is for the next one, which is faster the longer this takes.
    private func sweep() async throws {
        let begun = clock.steady
        courtesy.ofStep = pace
        defer { courtesy.ofStep = Self.ofStep.upperBound }
        try await sweepDue(at: dates.now)
        pace = Self.pace(after: clock.steady - begun)
    }

    /// - Parameter milliseconds: that a sweep took.
    static func pace(after milliseconds: Int64) -> Int64 {
        max(ofStep.lowerBound, ofStep.upperBound * sweepMilliseconds / max(sweepMilliseconds, milliseconds))
    }

    private func sweepDue(at date: Timestamp) async throws {
        for slice in try await ShardMemory.slices(in: store).slices {
            for index in RetainedIndex.all(of: slice) {
                guard let horizon = gauge.settings.retention.horizon(of: index, at: date),
                    let from = board.begin(index, horizon)
                else {
                    continue
                }
                do {
                    try await sweep(index, from: from, by: horizon)
                } catch {
                    board.forget(index)
                    throw error
                }
            }
        }
    }

    private func sweep(_ index: RetainedIndex, from start: Bytes, by horizon: Timestamp) async throws {
        var from = start
        let end = index.range.end
        while true {
            let rows = try await store.scan(from: from, to: end, limit: Self.page)
            for row in rows {
                guard let due = index.due(row.key) else { continue }
                guard due <= horizon else { return board.found(index, row.key, due: due) }
                switch index {
                case .ended(_, let state):
                    guard let (_, period, tenant) = RetainedKeys.parsePeriod(row.key) else { continue }
                    try await erase(.period(tenant, state, period))
                case .keptUntil(let slice):
                    // All of them at once.
                    try await erase(.keptUntil(slice, by: horizon))
                }
                if case .keptUntil = index { break }
            }
            guard let last = rows.last else { return }
            if case .keptUntil(let slice) = index {
                from = slice.keptUntil(by: horizon).end
            } else {
                guard rows.count == Self.page else { return }
                from = last.key + [0]
            }
        }
    }

    private func erase(_ part: SweepFinished.Part) async throws {
        while true {
            let answer = try await mailbox.run(SweepFinished(part: part))
            gauge.swept(answer.erased)
            if answer.isUnanswered { throw StoreError.unavailable("the store does not answer") }
            try await breathe(after: answer.milliseconds)
            if answer.isDone { return }
        }
    }

    private func breathe(after milliseconds: Int64) async throws {
        if pauseMilliseconds > 0 { try await courtesy.breathe(afterStep: milliseconds, least: pauseMilliseconds) }
    }
}
