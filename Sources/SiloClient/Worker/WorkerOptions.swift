import Foundation

/// How a worker works.
public struct WorkerOptions: Sendable {
    /// Names the worker in leases; nil: the host's name, the process and a random part.
    public var id: String?
    /// Handlers that run at once.
    public var concurrency = 10
    /// How long a request for work may wait at the server for some.
    public var wait = Duration.seconds(20)
    /// The pause after an empty answer that did not wait: of a server that cannot.
    public var pollInterval = Duration.seconds(1)
    /// How often leases are renewed. Below half of a lease, so that one lost heartbeat loses nothing.
    public var heartbeatInterval = Duration.seconds(4)
    /// What went wrong besides the handlers' own failures: requests that failed, leases that were lost.
    public var onError: @Sendable (WorkerError) -> Void = { error in
        FileHandle.standardError.write(Data("silo worker: \(error)\n".utf8))
    }

    public init() {}
}

/// What a worker tells `onError`.
public struct WorkerError: Error, Sendable, CustomStringConvertible {
    public enum Doing: String, Sendable {
        case leasing, renewing = "renewing the lease of", reporting = "reporting the outcome of", holding, refreshing = "working on"
    }
    public let doing: Doing
    /// The task concerned; nil when none is.
    public let taskID: String?
    /// Of an attempt of a job.
    public let jobID: String?
    /// Of a refresh of a floating limit.
    public let limitKey: String?
    public let cause: ClientError

    init(doing: Doing, _ lease: Lease?, _ cause: ClientError) {
        self.doing = doing
        taskID = lease?.taskID
        jobID = lease?.jobID
        limitKey = lease?.limitKey
        self.cause = cause
    }

    public var description: String {
        let what = if let limitKey { "refresh \(taskID ?? "") of limit \(limitKey)" } else {
            taskID.map { "task \($0) of job \(jobID ?? "")" } ?? "tasks"
        }
        return "\(doing.rawValue) \(what): \(cause)"
    }
}
