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
        var isAsked = false
        let ask: @Sendable () -> Void

        var staying: Use {
            Use(overlayBytes: use.overlayBytes - leaving.overlayBytes, logBytes: use.logBytes - leaving.logBytes)
        }
    }
    private struct State {
        var members: [Int: Member] = [:]
        var lastMember = 0
        var total = Use()
        var spareBytes = 0
        var wakes = 0
        var steps = 0
        var waiting: [CheckedContinuation<Void, Never>] = []
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
    func join(_ ask: @escaping @Sendable () -> Void) -> Int {
        state.withLock { state in
            state.lastMember += 1
            state.members[state.lastMember] = Member(ask: ask)
            return state.lastMember
        }
    }

    func leave(_ member: Int) {
        update { state in
            guard let member = state.members.removeValue(forKey: member) else { return }
            state.total = state.total + Use(overlayBytes: -member.use.overlayBytes, logBytes: -member.use.logBytes)
            state.spareBytes -= member.spareBytes
        }
    }

    /// What `member` has changed.
    func change(_ member: Int, overlayBytes: Int = 0, logBytes: Int = 0) {
        update { state in
            let change = Use(overlayBytes: overlayBytes, logBytes: logBytes)
            guard let use = state.members[member]?.use else { return }
            state.members[member]?.use = use + change
            state.total = state.total + change
        }
    }

    /// Whether `member` may keep a file of so many bytes for later. It counts until it is given back.
    func keepSpare(_ member: Int, bytes: Int) -> Bool {
        state.withLock { state in
            guard state.members[member] != nil, state.spareBytes + bytes <= spareBytesMax else { return false }
            state.members[member]?.spareBytes += bytes
            state.spareBytes += bytes
            return true
        }
    }

    func giveSpare(_ member: Int, bytes: Int) {
        state.withLock { state in
            guard state.members[member] != nil else { return }
            state.members[member]?.spareBytes -= bytes
            state.spareBytes -= bytes
        }
    }

    /// What of the disk is kept for later, of all members.
    package var spareBytes: Int { state.withLock { $0.spareBytes } }

    /// All that `member` has now is on its way below.
    func beginLeaving(_ member: Int) {
        update { state in
            state.members[member]?.isAsked = true
            if let use = state.members[member]?.use { state.members[member]?.leaving = use }
        }
    }

    /// It is below, or stays after all.
    func endLeaving(_ member: Int) {
        update { state in
            state.members[member]?.isAsked = false
            state.members[member]?.leaving = Use()
        }
    }

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
    func step() { state.withLock { $0.steps += 1 } }

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
        guard state.total.reaches(bound, part: 2) else { return nil }
        let staying = state.members.values.filter { !$0.isAsked }.reduce(Use()) { $0 + $1.staying }
        guard staying.reaches(bound, part: 2) else { return nil }
        let most = state.members.filter { !$0.value.isAsked }.max {
            ($0.value.staying.share(of: bound), $1.key) < ($1.value.staying.share(of: bound), $0.key)
        }
        guard let most, most.value.staying.share(of: bound) > 0 else { return nil }
        state.members[most.key]?.isAsked = true
        return most.value.ask
    }
}

/// One log's part of the budget.
struct LogAccount: Sendable {
    let budget: LogBudget
    let member: Int

    func change(overlayBytes: Int = 0, logBytes: Int = 0) {
        budget.change(member, overlayBytes: overlayBytes, logBytes: logBytes)
    }
    func keepSpare(bytes: Int) -> Bool { budget.keepSpare(member, bytes: bytes) }
    func giveSpare(bytes: Int) { budget.giveSpare(member, bytes: bytes) }
}
