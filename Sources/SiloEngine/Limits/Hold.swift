import SiloStore

/// The mark of a ready or running job that it holds the slots of its limits: how often holders had been dropped when it took
/// them. Where some were dropped since, it is void: of all keys, or of one.
struct Hold: Equatable {
    /// Of the tenant.
    var drops: UInt32
    /// Of single keys of the tenant.
    var keyDrops: UInt64

    /// Whether it holds a slot of a limit.
    func isGood(of limit: SlotLimit) -> Bool { drops == limit.drops && keyDrops >= limit.keyDrops }
}

/// What holds slots: a task that is ready, or a lease.
protocol SlotHolder {
    var hold: UInt32? { get set }
    var keyHold: UInt64 { get set }
}

extension StorageV1.Task: SlotHolder {}
extension StorageV1.Lease: SlotHolder {}

extension SlotHolder {
    /// Nil: of a task that is not ready, or of a lease past its limits.
    var slotHold: Hold? {
        get { hold.map { Hold(drops: $0, keyDrops: keyHold) } }
        set {
            hold = newValue?.drops
            keyHold = newValue?.keyDrops ?? 0
        }
    }
}
