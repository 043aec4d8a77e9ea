import SiloStore

/// The mark of a ready or running job that it holds the slots of its limits: how often holders had been dropped when it took
/// them. Where some were dropped since, it is void: of all keys, or of one.
struct Hold: Equatable {
    /// Of the tenant.
    var drops: UInt32
    /// Of single keys of the tenant.
    var keyDrops: UInt64

    /// Whether it holds a slot of a limit. It must be no older than the last drop of the tenant.
    func isGood(of limit: SlotLimit) -> Bool { keyDrops >= limit.keyDrops }
}

extension StorageV1.Task {
    /// Of a ready task.
    var slotHold: Hold? {
        get { hold.map { Hold(drops: $0, keyDrops: keyHold) } }
        set {
            hold = newValue?.drops
            keyHold = newValue?.keyDrops ?? 0
        }
    }
}

extension StorageV1.Lease {
    /// Nil when it was leased past its limits.
    var slotHold: Hold? {
        get { hold.map { Hold(drops: $0, keyDrops: keyHold) } }
        set {
            hold = newValue?.drops
            keyHold = newValue?.keyDrops ?? 0
        }
    }
}
