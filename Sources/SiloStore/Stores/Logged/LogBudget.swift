import Synchronization

/// What the logs and overlays of all shards of a server may take up together. When half of it is in use, the shard that has most
/// is asked to move it below; when all is, writers wait.
///
/// Files that are kept to be used again have a bound of their own, a quarter of that of the log: no checkpoint makes them fewer.
/// Besides, each shard has the one file that it writes to.
public final class LogBudget: Sendable {
    package struct Use: Equatable, Sendable {
        /// Memory.
        package var overlayBytes = 0
        /// Disk: of segments that are full.
        package var logBytes = 0

        package init(overlayBytes: Int = 0, logBytes: Int = 0) {
            self.overlayBytes = overlayBytes
            self.logBytes = logBytes
        }

        static func + (left: Use, right: Use) -> Use {
            Use(overlayBytes: left.overlayBytes + right.overlayBytes, logBytes: left.logBytes + right.logBytes)
        }

        static func - (left: Use, right: Use) -> Use {
            Use(overlayBytes: left.overlayBytes - right.overlayBytes, logBytes: left.logBytes - right.logBytes)
        }

        func reaches(_ bound: Use, part: Int) -> Bool {
            overlayBytes >= bound.overlayBytes / part || logBytes >= bound.logBytes / part
        }

        /// How much of the bound it is, in thousandths.
        func share(of bound: Use) -> Int {
            max(overlayBytes * 1000 / max(1, bound.overlayBytes), logBytes * 1000 / max(1, bound.logBytes))
        }
    }

    private struct Member {
        var use = Use()
        /// Of it, what is on its way below.
        var leaving = Use()
        /// Bytes of files that are kept for later.
        var spareBytes = 0
        /// Of its rows on their way below.
        var steps = 0
        var isAsked = false
        let ask: @Sendable () -> Void

        /// What it could be asked to move.
        var unasked: Use { isAsked ? Use() : use - leaving }
    }
    private struct State {
        private(set) var members: [Int: Member] = [:]
        private var lastMember = 0
        /// Of all members.
        private(set) var total = Use()
        private(set) var unasked = Use()
        private(set) var spareBytes = 0
        private(set) var steps = 0
        var wakes = 0
        var waiting: [CheckedContinuation<Void, Never>] = []

        mutating func join(_ ask: @escaping @Sendable () -> Void) -> Int {
            lastMember += 1
            members[lastMember] = Member(ask: ask)
            return lastMember
        }

        mutating func leave(_ id: Int) {
            change(id) { $0 = Member(ask: $0.ask) }
            members[id] = nil
        }

        mutating func change(_ id: Int, _ body: (inout Member) -> Void) {
            guard let before = members[id] else { return }
            var member = before
            body(&member)
            members[id] = member
            total = total + (member.use - before.use)
            unasked = unasked + (member.unasked - before.unasked)
            spareBytes += member.spareBytes - before.spareBytes
            // They never go back, not even when a member leaves.
            steps += max(0, member.steps - before.steps)
        }
    }
    private let state = Mutex(State())
    private let bound: Use
    private let spareBytesMax: Int

    /// - Parameters:
    ///   - overlayBytes: memory for rows that are not below yet.
    ///   - logBytes: disk for the log of those.
    public init(overlayBytes: Int = 128 << 20, logBytes: Int = 1 << 30) {
        bound = Use(overlayBytes: overlayBytes, logBytes: logBytes)
        spareBytesMax = logBytes / 4
    }

    /// - Parameter ask: is told that the member should move below what it has. It must not wait, nor call back.
    func join(_ ask: @escaping @Sendable () -> Void) -> Int { state.withLock { $0.join(ask) } }

    func leave(_ member: Int) { update { $0.leave(member) } }

    /// What `member` has changed.
    func change(_ member: Int, overlayBytes: Int = 0, logBytes: Int = 0) {
        update { $0.change(member) { $0.use = $0.use + Use(overlayBytes: overlayBytes, logBytes: logBytes) } }
    }

    /// Whether `member` may keep a file of so many bytes for later. It counts until it is given back.
    func keepSpare(_ member: Int, bytes: Int) -> Bool {
        state.withLock { state in
            guard state.members[member] != nil, state.spareBytes + bytes <= spareBytesMax else { return false }
            state.change(member) { $0.spareBytes += bytes }
            return true
        }
    }

    func giveSpare(_ member: Int, bytes: Int) { state.withLock { $0.change(member) { $0.spareBytes -= bytes } } }

    /// What of the disk is kept for later, of all members.
    package var spareBytes: Int { state.withLock { $0.spareBytes } }

    /// All that `member` has now is on its way below.
    func beginLeaving(_ member: Int) { update { $0.change(member) { ($0.isAsked, $0.leaving) = (true, $0.use) } } }

    /// It is below, or stays after all.
    func endLeaving(_ member: Int) { update { $0.change(member) { ($0.isAsked, $0.leaving) = (false, Use()) } } }

    /// How much of the bound is in use, of memory or of disk; 1: writers wait.
    package var share: Double { Double(state.withLock { $0.total.share(of: bound) }) / 1000 }

    var isFull: Bool { state.withLock { $0.total.reaches(bound, part: 1) } }

    /// Whether there is little room left, so that checkpoints should hurry.
    var isShort: Bool {
        state.withLock { state in
            Use(overlayBytes: state.total.overlayBytes * 4 / 3, logBytes: state.total.logBytes * 4 / 3).reaches(bound, part: 1)
        }
    }

    /// Moves with each step of anybody's rows on their way below.
    var steps: Int { state.withLock { $0.steps } }
    /// The same of one member's.
    func steps(of member: Int) -> Int { state.withLock { $0.members[member]?.steps ?? 0 } }
    func step(_ member: Int) { state.withLock { $0.change(member) { $0.steps += 1 } } }

    /// Memory is full, and `member` has enough of it that a move below is worth a file.
    func isFullOfRows(of member: Int) -> Bool {
        state.withLock { state in
            let own = state.members[member]?.use.overlayBytes ?? 0
            return state.total.overlayBytes >= bound.overlayBytes && own >= bound.overlayBytes / Self.worthMoving
        }
    }

    private static let worthMoving = 16

    var overlayBytesMax: Int { bound.overlayBytes }

    /// Moves with each `wake`.
    var wakes: Int { state.withLock { $0.wakes } }

    /// Returns when there may be room, or `wake` was called since `wakes` was looked at.
    func wait(since wakes: Int) async {
        await withCheckedContinuation { continuation in
            let waits = state.withLock { state in
                let waits = state.wakes == wakes && state.total.reaches(bound, part: 1)
                if waits { state.waiting.append(continuation) }
                return waits
            }
            if !waits { continuation.resume() }
        }
    }

    /// Lets those that wait look again.
    func wake() {
        let waiting = state.withLock { state in
            state.wakes += 1
            defer { state.waiting = [] }
            return state.waiting
        }
        for waiting in waiting { waiting.resume() }
    }

    private func update(_ body: (inout State) -> Void) {
        let (ask, waiting): ((@Sendable () -> Void)?, [CheckedContinuation<Void, Never>]) = state.withLock { state in
            body(&state)
            guard !state.total.reaches(bound, part: 1) else { return (chooseMember(&state), []) }
            defer { state.waiting = [] }
            return (chooseMember(&state), state.waiting)
        }
        ask?()
        for waiting in waiting { waiting.resume() }
    }

    /// The one that has most of those that were not asked, when these have half of the bound.
    private func chooseMember(_ state: inout State) -> (@Sendable () -> Void)? {
        guard state.unasked.reaches(bound, part: 2) else { return nil }
        var most: (id: Int, share: Int)?
        for (id, member) in state.members {
            let share = member.unasked.share(of: bound)
            // Of two the one that came first.
            if share > 0, most.map({ (share, $0.id) > ($0.share, id) }) ?? true { most = (id, share) }
        }
        guard let most else { return nil }
        state.change(most.id) { $0.isAsked = true }
        return state.members[most.id]?.ask
    }
}

/// One log's part of the budget.
struct LogAccount: Sendable {
    let budget: LogBudget
    let member: Int

    func change(overlayBytes: Int = 0, logBytes: Int = 0) {
        budget.change(member, overlayBytes: overlayBytes, logBytes: logBytes)
    }
    var steps: Int { budget.steps(of: member) }
    func step() { budget.step(member) }
    func keepSpare(bytes: Int) -> Bool { budget.keepSpare(member, bytes: bytes) }
    func giveSpare(bytes: Int) { budget.giveSpare(member, bytes: bytes) }
}
