public import Foundation
import SiloAPI

/// Why a job is not running now.
public struct JobExplanation: Sendable, Equatable {
    public let status: JobStatus
    public let group: String
    /// The pending or running attempt, or the last.
    public let attempt: UInt32
    /// One sentence for people.
    public let summary: String
    /// All that is in the job's way, what it waits for first. None when it runs or has ended.
    public let obstacles: [Obstacle]
    /// It does not start before then, for certain; nil when nothing is certain.
    public let earliestStart: Date?
    /// A guess from what was seen lately; nil when there is nothing to go by.
    public let estimatedStart: Date?
    /// Workers that wait for work of the group at the job's shard right now.
    public let workersWaiting: UInt32
    /// When a worker last asked that shard for work of the group; nil: not since it was opened.
    public let lastPoll: Date?

    /// One thing in a job's way.
    public struct Obstacle: Sendable, Equatable {
        public let kind: Kind
        /// For people.
        public let text: String
        /// Of a limit: its key, or `name/key`. Else empty.
        public let key: String
        /// Of a limit: its slots, or the hits that it has room for.
        public let max: UInt64
        /// Of a limit: slots held, or hits used and promised.
        public let inUse: UInt64
        /// Of a concurrency limit: who holds it, at most 20 of them.
        public let holders: [Holder]
        /// Jobs that go before this one there.
        public let ahead: UInt64
        /// There are at least so many: counting was cut off.
        public let aheadIsLeast: Bool
        /// When it ends, if that is known.
        public let until: Date?
        /// How long it may last, guessed from what was seen lately.
        public let estimate: Duration?
        /// The job waits here; the others would be in its way next.
        public let blocksNow: Bool
    }

    public enum Kind: String, Sendable, Codable {
        /// Its start time, or the wait before a retry.
        case timer
        /// No free slot of a concurrency limit.
        case concurrency
        /// The same of a floating limit.
        case floating
        /// A rate limit allows no more hits now.
        case rate
        /// It is ready, and others are ready before it.
        case readyQueue
        /// No worker asks for its task group.
        case noWorker
        /// Its tenant, task group or limit is paused.
        case paused
        /// An external rate limiter is being asked.
        case externalRate
        /// What this client does not know; the text says it.
        case other
    }

    /// A job that holds a slot of a limit.
    public struct Holder: Sendable, Equatable {
        public let jobID: String
        public let group: String
        /// Its worker and since when it runs; nil for one that is ready and waits for a worker.
        public let running: Running?

        public struct Running: Sendable, Equatable {
            public let taskID: String
            public let worker: String
            public let since: Date
        }
    }
}

extension JobHandle {
    /// Why the job is not running now. It reads a bounded part of what stands before it. Throws `.jobNotFound`.
    public func explain() async throws(ClientError) -> JobExplanation {
        JobExplanation(try await client.send(SiloV1.Silo.explainJob, self))
    }
}

extension JobExplanation {
    init(_ response: SiloV1.ExplainJobResponse) {
        status = JobStatus(response.status)
        group = response.taskGroup
        attempt = response.attempt
        summary = response.summary
        obstacles = response.obstacles.map(Obstacle.init)
        earliestStart = response.earliestStartAtMs.map(Date.init(milliseconds:))
        estimatedStart = response.estimatedStartAtMs.map(Date.init(milliseconds:))
        workersWaiting = response.workersWaiting
        lastPoll = response.lastPollAtMs.map(Date.init(milliseconds:))
    }
}

extension JobExplanation.Obstacle {
    fileprivate init(_ message: SiloV1.Obstacle) {
        kind = switch message.kind {
        case .timer: .timer
        case .concurrency: .concurrency
        case .floating: .floating
        case .rate: .rate
        case .readyQueue: .readyQueue
        case .noWorker: .noWorker
        case .paused: .paused
        case .externalRate: .externalRate
        default: .other
        }
        text = message.text
        key = message.key
        max = message.max
        inUse = message.inUse
        holders = message.holders.map(JobExplanation.Holder.init)
        ahead = message.ahead
        aheadIsLeast = message.aheadIsLeast
        until = message.untilMs.map(Date.init(milliseconds:))
        estimate = message.estimateMs.map { .milliseconds($0) }
        blocksNow = message.blocksNow
    }
}

extension JobExplanation.Holder {
    fileprivate init(_ message: SiloV1.LimitHolder) {
        jobID = message.jobId
        group = message.taskGroup
        running = message.sinceMs == 0
            ? nil : Running(taskID: message.taskId, worker: message.workerId, since: Date(milliseconds: message.sinceMs))
    }
}
