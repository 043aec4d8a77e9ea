package import SiloCore

/// Where the parts of a client run, apart from each other so that none holds up another.
package struct Lanes: Sendable {
    /// The client's own work: polls, heartbeats, reports, and the pauses between them.
    let own: Environment
    /// Handlers, which may compute for hours.
    let handlers: Environment
    /// Everything else that is not the client's own and may block: `onError`, and what applications do when a task is cancelled.
    let callbacks: Environment

    /// All in the same place: for simulations.
    package init(_ environment: Environment) {
        own = environment
        handlers = environment
        callbacks = environment
    }

    private init(own: OwnThread, callbacks: OwnThread) {
        let clock = ClientClock(own)
        let random = SystemRandom()
        self.own = Environment(clock: clock, random: random, executor: own)
        handlers = Environment(clock: clock, random: random)
        self.callbacks = Environment(clock: clock, random: random, executor: callbacks)
    }

    /// Two threads for all clients of the process, and Swift's shared pool for handlers.
    static let system = Lanes(own: OwnThread("silo-client"), callbacks: OwnThread("silo-callbacks"))
}
