package import SiloCore
package import SlateDB

/// Where a log is, and what it is given of the world.
package struct LogPlace: Sendable {
    /// Of the shard.
    package var name: String
    package var disk: any LogDisk
    package var worker: any LogWorker
    /// Fills files of segments that come later; nil: the worker does.
    package var helper: (any LogWorker)?
    package var environment: Environment
    package var settings = LogSettings()
    /// Opens the store below anew, when it has closed itself; nil: that cannot be done.
    package var reopen: (@Sendable () async throws(StoreError) -> any KeyValueStore)?
    /// What the store below says of its log to somebody who has not opened it: that would put another owner out. Nil: nobody else
    /// can have it.
    package var look: (@Sendable () async throws(StoreError) -> LogPosition?)?
    package var durability: Durability?
    /// Whether there is space for what is moved below. Asked now and then, on any thread.
    package var hasSpace: @Sendable () -> Bool = { true }
    package var onEvent: @Sendable (LogEvent) -> Void = { _ in }

    package init(_ name: String, _ disk: any LogDisk, _ worker: any LogWorker, in environment: Environment) {
        self.name = name
        self.disk = disk
        self.worker = worker
        self.environment = environment
    }
}
