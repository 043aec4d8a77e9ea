/// Something that may be forgotten while it is idle: what is stored says all there is to know.
protocol Forgettable: AnyObject {
    /// It stands among those that may be forgotten.
    var isNotedIdle: Bool { get set }
}

/// Those who were idle when they were noted, longest ago first.
struct IdleSweep<Owner: Forgettable> {
    private var noted = FIFO<Owner>()

    enum Verdict {
        case forgotten
        /// It is noted again when it is idle.
        case busy
        /// It is idle, and cannot be forgotten yet.
        case later
    }

    mutating func note(_ owner: Owner) {
        guard !owner.isNotedIdle else { return }
        owner.isNotedIdle = true
        noted.append(owner)
    }

    /// Looks at those who are more than `countMax`, once each.
    mutating func sweep(above countMax: Int, _ judge: (Owner) -> Verdict) {
        var looks = noted.count - countMax
        while looks > 0, let owner = noted.popFirst() {
            looks -= 1
            owner.isNotedIdle = false
            if judge(owner) == .later { note(owner) }
        }
    }
}
