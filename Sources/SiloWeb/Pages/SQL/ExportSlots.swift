import Synchronization

/// Exports hold all of their rows, up to 64 MiB, until a client has read them: so many go on at once.
final class ExportSlots: Sendable {
    static let countMax = 8
    private let taken = Atomic(0)
    private let freed: @Sendable () -> Void

    /// - Parameter freed: runs after each slot that was given back: lets tests wait for it. Must not block.
    init(freed: @escaping @Sendable () -> Void = {}) { self.freed = freed }

    /// Is given back when nobody holds it any more. Nil: there is none.
    func take() -> Slot? {
        guard taken.add(1, ordering: .relaxed).newValue <= Self.countMax else {
            taken.subtract(1, ordering: .relaxed)
            return nil
        }
        return Slot(self)
    }

    final class Slot: Sendable {
        private let slots: ExportSlots
        fileprivate init(_ slots: ExportSlots) { self.slots = slots }
        deinit {
            slots.taken.subtract(1, ordering: .relaxed)
            slots.freed()
        }
    }
}
