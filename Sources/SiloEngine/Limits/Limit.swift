import Protobuf
import SiloCore
import SiloStore

/// A limit of one tenant as memory holds it: what of it is in use, and the lines that wait for it.
///
/// A limit that is not in memory is read from its row when it is first asked; one that nobody waits for may be forgotten.
class Limit: RowOwner, Forgettable {
    /// Names a limit. Concurrency limits and floating limits of one key are one limit.
    enum ID: Hashable {
        case slots(Tenant, LimitKey)
        case bucket(Tenant, name: LimitKey, key: LimitKey)

        var tenant: Tenant {
            switch self {
            case .slots(let tenant, _), .bucket(let tenant, _, _): tenant
            }
        }

        static func bucket(_ tenant: Tenant, of rate: StorageV1.RateLimit) -> ID {
            .bucket(tenant, name: LimitKey(rate.name), key: LimitKey(rate.uniqueKey))
        }

        /// For people.
        var text: String {
            switch self {
            case .slots(_, let key): key.text
            case .bucket(_, let name, let key): "\(name)/\(key)"
            }
        }
    }

    let id: ID
    var lines = WaitingLines()

    /// Its row no longer says what memory says.
    var isDirty = false
    /// There is a row of it.
    var isStored: Bool
    /// It stands in the list of limits whose lines are to be looked at.
    var isFreed = false
    /// It stands among those that may be forgotten.
    var isNotedIdle = false
    /// A slot of it is kept for a line that has been passed over for long.
    var isKept: Bool { false }
    /// How often a job found no room here, since memory knows the limit.
    var refusals: UInt64 = 0
    /// When it is looked at next; nil when nothing is planned.
    var alarm = PerAxis<Timestamp?>(nil)

    init(_ id: ID, isStored: Bool) {
        self.id = id
        self.isStored = isStored
    }

    /// Slots, or hits that are used and promised.
    func inUse(at now: Moment) -> UInt64 { 0 }
    /// There is something to say of it though nothing of it is in use.
    var isNotable: Bool { lines.waiting > 0 || refusals > 0 }

    /// The line to be looked at next, of those that may find room now: the one whose head has the lowest rank.
    func candidate() -> Line? { lines.first(of: self) { _ in true } }
}

/// The slots of a key: a concurrency limit, whose jobs each bring their own maximum, or a floating limit with a shared one.
final class SlotLimit: Limit {
    struct Name: Hashable {
        let tenant: Tenant
        let key: LimitKey
        var id: Limit.ID { .slots(tenant, key) }
    }
    let key: LimitKey
    private(set) var held: UInt64
    /// The tenant's count of dropped holders that `held` goes with.
    private(set) var drops: UInt32
    /// The tenant's count of drops of single keys when this one's holders were dropped: older holds of it are void. It stays as
    /// long as there is a row to say it, so that no hold becomes good again by a wrong count.
    private(set) var keyDrops: UInt64
    /// How many of those there are still. Until they are gone its row stays.
    private(set) var voidHolds: UInt64
    var floating: StorageV1.FloatingState?
    /// The maximum that a job brought last; nil: none has since memory knows the limit.
    var maxSeen: UInt32?
    var maxima = MaximumHistory()
    var isPaused = false
    /// One slot that comes free is kept for this line, which has been passed over for long.
    weak var keptFor: Line?
    override var isKept: Bool { keptFor != nil }
    /// How fast slots have come free lately.
    var releases = Pace()

    /// - Parameters:
    ///   - record: as stored; nil when there is no row.
    ///   - drops: the tenant's count now. What was held before the last drop is not held any more.
    init(_ tenant: Tenant, _ key: LimitKey, _ record: StorageV1.Slots?, drops: UInt32) {
        self.key = key
        self.drops = drops
        let current = record.flatMap { $0.drops == drops ? $0 : nil }
        held = current?.held ?? 0
        keyDrops = current?.keyDrops ?? 0
        voidHolds = current?.voidHolds ?? 0
        floating = record?.floating
        super.init(.slots(tenant, key), isStored: record != nil)
    }

    override func inUse(at now: Moment) -> UInt64 { held }
    override var isNotable: Bool { super.isNotable || isPaused || floating != nil || maxSeen != nil }

    /// How many slots there are for jobs that bring `max`; nil stands for the floating limit's own.
    func capacity(_ max: UInt32?) -> UInt64 { UInt64(max ?? floating?.currentMax ?? 0) }

    /// Whether a job may have a slot.
    /// - Parameter line: that it waits in; nil for a newcomer.
    func hasRoom(_ max: UInt32?, for line: Line?) -> Bool {
        let isKept = keptFor != nil && keptFor !== line
        return !isPaused && held + (isKept ? 1 : 0) < capacity(max)
    }

    func take() { held += 1 }

    /// False when nothing was held: then somebody freed a slot twice.
    func free() -> Bool {
        guard held > 0 else { return false }
        held -= 1
        return true
    }

    func dropAll(_ count: UInt32) {
        held = 0
        drops = count
        keyDrops = 0
        voidHolds = 0
    }

    /// Of this key alone.
    /// - Parameter count: the tenant's count of drops of single keys, with this one.
    func dropHolders(_ count: UInt64) {
        voidHolds &+= held
        held = 0
        keyDrops = count
    }

    /// A hold from before the last drop of this key has ended.
    func endVoidHold() { voidHolds -= min(voidHolds, 1) }

    /// Undoes `take` or `free` of a command that was refused.
    func restore(_ before: UInt64) { held = before }

    override func candidate() -> Line? {
        if let line = keptFor, line.blockedAt === self, hasRoom(line.blockedMax, for: line) { return line }
        return isPaused ? nil : lines.first(of: self) { hasRoom($0, for: nil) }
    }

    /// The row that says what memory says; no value when there is nothing to say.
    func row(_ keys: TenantKeys) -> Write {
        guard held > 0 || voidHolds > 0 || floating != nil else { return Write(key: keys.slots(key), value: nil) }
        var record = StorageV1.Slots()
        record.held = held
        record.drops = drops
        record.keyDrops = keyDrops
        record.voidHolds = voidHolds
        record.floating = floating
        return Write(key: keys.slots(key), value: record.serializedBytes())
    }
}

/// The bucket of a rate limit. What the jobs' limits say of its size counts for each job by itself.
final class BucketLimit: Limit {
    let name: LimitKey
    let key: LimitKey
    var bucket: Bucket
    /// What the last job said of its size; nil: none has since memory knows the limit.
    var rateSeen: StorageV1.RateLimit?

    init(_ tenant: Tenant, _ name: LimitKey, _ key: LimitKey, _ bucket: Bucket, isStored: Bool) {
        self.name = name
        self.key = key
        self.bucket = bucket
        super.init(.bucket(tenant, name: name, key: key), isStored: isStored)
    }

    override func inUse(at now: Moment) -> UInt64 {
        guard let rateSeen else { return bucket.hits }
        var bucket = bucket
        bucket.pass(to: now, rateSeen)
        return bucket.hits
    }
    override var isNotable: Bool { super.isNotable || rateSeen != nil }

    /// The row that says what memory says; no value when there is nothing to say.
    func row(_ keys: TenantKeys, at now: Moment) -> Write {
        let key = keys.bucket(name, self.key)
        guard !bucket.isEmpty else { return Write(key: key, value: nil) }
        return Write(key: key, value: bucket.record.serializedBytes(), expiresAt: bucket.expiresAt(now))
    }
}
