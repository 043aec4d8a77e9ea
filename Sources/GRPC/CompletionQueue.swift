import CGRPC
import Glibc
import Synchronization

/// A queue of finished operations, with the threads that work it off. They also do the socket work.
///
/// `@unchecked Sendable`: a completion queue may be used from any thread; the count of threads has its own lock; what is ready is
/// touched by the only thread alone.
final class CompletionQueue: @unchecked Sendable {
    let handle: OpaquePointer
    private let threads: Mutex<Int>
    private let ended: @Sendable () -> Void
    /// Rung for each operation, where a thread looks for their ends only while there are some; never freed.
    private let bell: UnsafeMutablePointer<sem_t>?
    /// It has one thread.
    private let isLone: Bool
    /// A completion that `begin` has taken out of the queue.
    private var ready: (tag: UnsafeMutableRawPointer, ok: Bool)?

    /// - Parameters:
    ///   - isQuiet: its thread does socket work only while an operation is under way; say `operationBegan` of each. It is never
    ///     shut down.
    ///   - runner: asked on each thread for what runs its events; nil: nothing does.
    ///   - ended: called on the last thread when the queue was shut down and is empty and destroyed.
    init(
        name: String, threads count: Int, isQuiet: Bool = false, runner: (@Sendable () -> EventRunner)? = nil,
        ended: @escaping @Sendable () -> Void = {}
    ) {
        Library.start()
        bell = isQuiet ? .allocate(capacity: 1) : nil
        if let bell { sem_init(bell, 0, 0) }
        handle = grpc_completion_queue_create_for_next(nil)
        threads = Mutex(count)
        isLone = count == 1
        self.ended = ended
        for _ in 0..<count { NativeThread.start(name) { self.run(runner?()) } }
    }

    /// The queue of all channels of this process. One thread: a second one would mostly wake up for nothing.
    static let client = CompletionQueue(name: "grpc-client", threads: 1)

    /// The queue of channels that are used now and then beside a server; see `ChannelOptions.isQuiet`.
    static let quiet = CompletionQueue(name: "grpc-quiet", threads: 1, isQuiet: true)

    /// An operation was started. Its end may be noticed only now.
    func operationBegan() { if let bell { sem_post(bell) } }

    /// Begins an operation, on a thread of the queue, that is likely to be complete at once: then it comes next, and is spared
    /// the way through the queue, which locks, wakes and polls.
    func begin<R>(_ operation: () -> R) -> R {
        guard isLone, bell == nil, ready == nil else { return operation() }
        // The core keeps the thread's next completion, of whatever operation, for the thread to take. C++'s servers begin
        // operations in this way.
        grpc_completion_queue_thread_local_cache_init(handle)
        defer {
            var (tag, success) = (nil as UnsafeMutableRawPointer?, Int32(0))
            let isFilled = grpc_completion_queue_thread_local_cache_flush(handle, &tag, &success) != 0
            if isFilled, let tag { ready = (tag, success != 0) }
        }
        return operation()
    }

    /// Lets the threads end once every operation has completed. No operation may be started on the queue afterwards.
    func shutdown() { grpc_completion_queue_shutdown(handle) }

    private func run(_ runner: EventRunner?) {
        let never = gpr_inf_future(GPR_CLOCK_REALTIME)
        while true {
            // Each operation has one end.
            if let bell { while sem_wait(bell) != 0 {} }
            let event = grpc_completion_queue_next(handle, never, nil)
            switch event.type {
            case GRPC_OP_COMPLETE:
                let complete = {
                    Tag.complete(event.tag, ok: event.success != 0)
                    self.completeReady()
                }
                if let runner { runner(complete) } else { complete() }
            case GRPC_QUEUE_SHUTDOWN: return end()
            default: continue
            }
        }
    }

    /// One for each event: what it begins itself goes through the queue, so that sockets are looked at again.
    private func completeReady() {
        guard let (tag, ok) = ready else { return }
        Tag.complete(tag, ok: ok)
        ready = nil
    }

    private func end() {
        let isLast = threads.withLock { count in
            count -= 1
            return count == 0
        }
        guard isLast else { return }
        grpc_completion_queue_destroy(handle)
        ended()
    }
}
