import Synchronization

/// Holds tasks up until it is opened. A cancelled task passes.
public final class Gate: Sendable {
    private let isOpen = Atomic(false)
    private let changes = Signal()

    public init() {}

    public func open() {
        isOpen.store(true, ordering: .sequentiallyConsistent)
        changes.raise()
    }

    public func wait() async {
        try? await changes.wait { isOpen.load(ordering: .sequentiallyConsistent) }
    }
}

/// Returns when the task is cancelled: what a handler does that has no end of its own.
public func untilCancelled() async { await Gate().wait() }
