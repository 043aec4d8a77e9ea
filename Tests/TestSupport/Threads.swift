import CThreads
import Foundation

func detachThread(_ body: @escaping @Sendable () -> Void) { Thread.detachNewThread(body) }

/// Runs what blocks on a thread of its own: Swift's shared pool has few, and who blocks one holds up tests that have nothing to
/// do with it.
public func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: body()) }
    }
}

/// The same for what may throw.
public func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    let result: Result<Value, any Error> = await onThread { Result { try body() } }
    return try result.get()
}
