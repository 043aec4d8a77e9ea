import Foundation

/// How a worker works.
public struct WorkerOptions: Sendable {
    /// Names the worker in leases; nil: the host's name, the process and a random part.
    public var id: String?
    /// Which build of the program the worker is, for whoever lists workers; up to 256 bytes.
    public var version = ""
    /// Handlers that run at once.
    public var concurrency = 10
    /// How long a request for work may wait at the server for some. A worker that is stopped may take as long to end: an answer
    /// that is on its way brings leases, and is waited for. Above two thirds of a lease (10 s by default) tasks that come late
    /// are asked for once more before they start, since their lease may be nearly over.
    public var wait = Duration.seconds(3)
    /// The pause after an empty answer that did not wait: of a server that cannot.
    public var pollInterval = Duration.seconds(1)
    /// How often leases are renewed, when that is to be more often than every third of the lease.
    public var heartbeatInterval: Duration?
    /// How long a worker that was stopped goes on to report what its handlers came to, when no server takes it. What it gives up
    /// then is done again by others when the lease has ended. While the worker is not stopped outcomes are never given up.
    public var outcomePatience = Duration.seconds(60)
    /// What went wrong besides the handlers' own failures: requests that failed, leases that were lost. Runs on a thread of its
    /// own, one call after another; what comes while a thousand wait is dropped.
    public var onError: @Sendable (WorkerError) -> Void = { error in
        FileHandle.standardError.write(Data("silo worker: \(error)\n".utf8))
    }

    public init() {}
}

/// What a worker tells `onError`.
public struct WorkerError: Error, Sendable, CustomStringConvertible {
    public enum Doing: String, Sendable {
        case leasing
        case renewing = "renewing the lease of"
        case reporting = "reporting the outcome of"
        case holding
        case refreshing = "working on"
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
