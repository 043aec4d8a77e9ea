import Synchronization

#if DEBUG
/// Call objects that exist, those waiting for a call included: lets tests see leaks.
enum LiveCalls {
    static let count = Atomic<Int>(0)
}
#endif
