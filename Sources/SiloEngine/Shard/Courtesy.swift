import SiloCore

/// How what is done beside a shard's work leaves the shard to it: while others ask for something, a step is followed by a pause
/// that is so many times as long.
struct Courtesy {
    private let mailbox: Mailbox
    private let clock: any Clock
    /// A step holds the loop up, and all who wait for it, and what it wrote costs as much again later.
    var ofStep: Int64
    /// After a step. One of less than a millisecond is followed by the shortest.
    private let pauses: ClosedRange<Int64>
    private var seen: Int
    /// Others have asked for something since the last search.
    private var isBusy = false
    /// A search only uses processors.
    private static let ofSearch: Int64 = 4
    private static let pauseOfSearchMax: Int64 = 1000

    /// - Parameter pauses: how long those after a step may be while others ask for something, in milliseconds.
    init(_ mailbox: Mailbox, _ clock: any Clock, ofStep: Int64, pauses: ClosedRange<Int64>) {
        self.mailbox = mailbox
        self.clock = clock
        self.ofStep = ofStep
        self.pauses = pauses
        seen = mailbox.posted
    }

    /// - Parameter least: how long it pauses in any case.
    mutating func breathe(afterStep milliseconds: Int64, least: Int64 = 0) async throws {
        let pause = look() ? max(least, pause(afterStep: milliseconds)) : least
        if pause > 0 { try await clock.sleep(milliseconds: pause) }
    }

    /// - Parameter end: of the search. Since then there were the steps with what it found, and they are part of its pause.
    mutating func breathe(afterSearch milliseconds: Int64, since end: Timestamp) async throws {
        look()
        defer { isBusy = false }
        let pause = min(Self.ofSearch * milliseconds, Self.pauseOfSearchMax) - (clock.steady - end)
        guard isBusy, pause > 0 else { return }
        try await clock.sleep(milliseconds: pause)
    }

    func pause(afterStep milliseconds: Int64) -> Int64 {
        max(pauses.lowerBound, ofStep * min(milliseconds, pauses.upperBound / ofStep))
    }

    /// Whether others have asked for something since somebody looked.
    @discardableResult
    mutating func look() -> Bool {
        let posted = mailbox.posted
        defer { seen = posted }
        guard posted > seen else { return false }
        isBusy = true
        return true
    }
}
