import Foundation

/// Does what waits for a disk on a thread of its own: those of Swift's pool, which shards share, must not wait.
package func onOwnThread<Result: Sendable>(_ work: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        // It ends when the work is done.
        Thread.detachNewThread { continuation.resume(returning: work()) }
    }
}
