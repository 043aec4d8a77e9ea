import Synchronization

/// In a debug build, how many completions threads of queues took without a way through their queue.
package enum DirectCompletions {
    #if DEBUG
    private static let atomic = Atomic<Int>(0)

    package static var count: Int { atomic.load(ordering: .relaxed) }
    static func add() { atomic.add(1, ordering: .relaxed) }
    #else
    package static var count: Int { 0 }
    @inline(__always) static func add() {}
    #endif
}
