import Synchronization

/// Call objects that exist in a debug build, server calls still to come included: lets tests see leaks.
package enum LiveCalls {
    #if DEBUG
    private static let atomic = Atomic<Int>(0)

    package static var count: Int { atomic.load(ordering: .relaxed) }
    static func add(_ change: Int) { atomic.add(change, ordering: .relaxed) }
    #else
    package static var count: Int { 0 }
    @inline(__always) static func add(_ change: Int) {}
    #endif
}
