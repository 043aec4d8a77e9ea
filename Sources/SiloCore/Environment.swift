/// What the parts of a process are given of the world: time, chance, and where their tasks run. Made once in `main`; a
/// simulation makes one in which all three follow from a seed.
public struct Environment: Sendable {
    public let clock: any Clock
    public let random: any RandomSource
    /// Nil: Swift's shared pool.
    public let executor: (any TaskExecutor)?
    /// For what does a little and then waits; nil: it runs where all does.
    public let prompt: PromptExecutor?

    public init(
        clock: any Clock, random: any RandomSource, executor: (any TaskExecutor)? = nil, prompt: PromptExecutor? = nil
    ) {
        self.clock = clock
        self.random = random
        self.executor = executor
        self.prompt = prompt
    }

    /// The system's time and chance.
    public static var system: Environment { Environment(clock: SystemClock(), random: SystemRandom()) }

    /// The same for a server, which judges others by the time that passes and must know when it was away itself.
    public static var server: Environment {
        Environment(clock: SystemClock(noticesAbsence: true), random: SystemRandom(), prompt: PromptExecutor())
    }

    /// Starts a task that nobody's scope awaits. Child tasks need no help: they run where their parent does.
    @discardableResult
    public func start<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) -> Task<Value, Never> {
        // Whoever calls this says what ends it.
        Task(on: executor, operation: body)
    }
}

extension Task where Failure == Never {
    /// Starts a task that runs on an executor; nil: Swift's shared pool. A preference for none costs: the task would look it up,
    /// under a lock, whenever a function of it is called or returns that may wait.
    package init(on executor: (any TaskExecutor)?, operation: sending @escaping () async -> Success) {
        if let executor {
            self.init(executorPreference: executor, operation: operation)
        } else {
            self.init(operation: operation)
        }
    }
}
