import CSQLite

/// A thread for one statement. It comes after all others when the processors are busy.
enum StatementThread {
    /// Room for the deepest statement that the parser takes.
    private static let stackBytes = 16 << 20
    private static let niceness: Int32 = 5

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// - Returns: false when there is no thread to be had.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        let work = Unmanaged.passRetained(Work(body))
        let error = csqlite_thread_start(
            stackBytes, niceness,
            { work in
                guard let work else { return nil }
                Unmanaged<Work>.fromOpaque(work).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        if error != 0 { work.release() }
        return error == 0
    }
}
