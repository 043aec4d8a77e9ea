import CGRPC
import Glibc

/// Threads for C calls that wait, which must not hold up Swift's shared pool.
package enum NativeThread {
    /// Runs `body` on a detached thread of its own.
    /// - Parameter name: at most 15 bytes, for debuggers and `top -H`.
    package static func start(_ name: String, _ body: @escaping @Sendable () -> Void) {
        let box = Unmanaged.passRetained(Body(name, body))
        let error = cgrpc_thread_start({ argument in
            guard let argument else { return nil }
            let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
            cgrpc_thread_name(body.name)
            body.run()
            return nil
        }, box.toOpaque())
        guard error == 0 else {
            box.release()
            // Only a process at its thread limit comes here, and without this thread its calls would wait for ever.
            fatalError("cannot start thread \(name): \(String(cString: strerror(error)))")
        }
    }

    private final class Body: Sendable {
        let name: String
        let run: @Sendable () -> Void

        init(_ name: String, _ run: @escaping @Sendable () -> Void) {
            self.name = name
            self.run = run
        }
    }
}
