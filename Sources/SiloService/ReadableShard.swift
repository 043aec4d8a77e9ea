import SiloCore
import SiloEngine
import SiloStore
import SlateDB

/// A shard that can be asked what it holds: while it serves, and while its clock keeps it from writing. All it shows is durable.
enum ReadableShard: Sendable {
    case serving(Shard)
    case behind(UnservedShard, ClockLag?)

    /// A view of the rows, and the shard's time.
    func reader() async throws(SiloError) -> (any StoreReader, Moment) {
        switch self {
        case .serving(let shard): (try await shard.snapshot(), shard.moment)
        case .behind(let shard, _): (shard.reader, shard.moment)
        }
    }

    /// Nil: nobody notes them.
    var failureBounds: FailureBounds? { if case .serving(let shard) = self { shard.failureBounds } else { nil } }

    /// Whether everything of the tenant is being deleted: what is read of it means nothing.
    func isDropping(_ tenant: Tenant) -> Bool {
        if case .serving(let shard) = self { shard.drop(of: tenant) != nil } else { false }
    }

    func explanation(_ explain: Explain, for context: RequestContext) async throws(SiloError) -> Explanation {
        do {
            switch self {
            case .serving(let shard):
                return try await shard.run(explain, for: context).explanation(try await shard.snapshot())
            case .behind(let shard, let lag):
                var explanation = try await shard.run(explain).explanation(shard.reader)
                if let lag { explanation.takesNoWrites(until: Timestamp(lag.lastWrite), lag.description) }
                return explanation
            }
        } catch {
            throw SiloError(wrapping: error)
        }
    }

    /// What is paused, in no order.
    func pauses(for context: RequestContext) async throws(SiloError) -> [PauseTarget: StorageV1.Pause] {
        switch self {
        case .serving(let shard): return try await shard.run(ListPauses(), for: context)
        case .behind(let shard, _):
            do { return try await shard.pauses() } catch { throw SiloError(reading: error) }
        }
    }
}

extension SiloError {
    /// Of a command that ran on rows alone: its refusal, or that they cannot be read.
    fileprivate init(wrapping error: any Error) {
        switch error {
        case let error as SiloError: self = error
        case let error as StoreError: self.init(reading: error)
        default: self = .failed("\(error)", cause: Cause(error))
        }
    }
}
