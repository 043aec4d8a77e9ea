public import Foundation
import GRPC
import Protobuf
import SiloAPI

/// What a pause stops.
public enum PauseTarget: Hashable, Sendable {
    /// Every job of the tenant.
    case tenant
    /// The tenant's jobs of a task group; without a tenant those of all tenants.
    case group(String)
    /// The tenant's jobs that need a slot of a concurrency or floating limit.
    case limit(_ key: String)
}

/// A pause in force.
public struct Pause: Sendable, Equatable {
    /// Nil when it is of all tenants, or when the server has tenancy off.
    public let tenant: String?
    public let target: PauseTarget
    public let reason: String
    /// Since it was first paused.
    public let since: Date
    /// It is meant for all shards and some do not have it: a pause or resume broke off. Repeat it.
    public let isPartial: Bool
}

extension Client {
    /// Lets nothing new start of a tenant, a task group or a limit; what runs goes on. Durable on return, and safe to repeat.
    ///
    /// Concerns the tenant's shard; a group's pause without a tenant goes to every shard. When one of them cannot be reached it
    /// throws, and the others keep the pause.
    /// - Parameters:
    ///   - tenant: needed when the server has tenancy on, but for a group of all tenants.
    ///   - reason: shown by `explain` and `pauses`; up to 1024 bytes.
    /// - Returns: whether all of it was paused before; the reason is the new one.
    @discardableResult
    public func pause(_ target: PauseTarget, tenant: String? = nil, reason: String = "") async throws(ClientError) -> Bool {
        try await eachShard(of: target, tenant) { shard, address throws(Status) in
            var request = SiloV1.PauseRequest()
            request.shard = shard
            request.tenant = tenant
            request.target = SiloV1.PauseTarget(target)
            request.reason = reason
            return try await self.router.call(SiloV1.Silo.pause, request, at: address).wasPaused
        }.allSatisfy { $0 }
    }

    /// Takes a pause back. Durable on return, and safe to repeat.
    /// - Returns: whether it was paused anywhere.
    @discardableResult
    public func resume(_ target: PauseTarget, tenant: String? = nil) async throws(ClientError) -> Bool {
        try await eachShard(of: target, tenant) { shard, address throws(Status) in
            var request = SiloV1.ResumeRequest()
            request.shard = shard
            request.tenant = tenant
            request.target = SiloV1.PauseTarget(target)
            return try await self.router.call(SiloV1.Silo.resume, request, at: address).wasPaused
        }.contains(true)
    }

    /// The pauses in force, oldest first; each once, on however many shards it is.
    public func pauses() async throws(ClientError) -> [Pause] {
        let shards = try await eachShard { shard, address throws(Status) in
            var request = SiloV1.ListPausesRequest()
            request.shard = shard
            return try await self.router.call(SiloV1.Silo.listPauses, request, at: address).pauses
        }
        return Pause.merged(shards)
    }

    /// Frees every slot that the tenant holds, of every limit or of one. Attempts that run go on, so that for a while more may
    /// run than the limits allow. A remedy for slots whose holders are gone for good.
    /// - Parameter key: of the concurrency or floating limit; nil: of all.
    /// - Returns: slots freed.
    @discardableResult
    public func dropHolders(tenant: String? = nil, key: String? = nil) async throws(ClientError) -> UInt64 {
        do throws(Status) {
            return try await router.run(.tenant(named: tenant)) { shard, address, _ throws(Status) in
                guard let key else {
                    var request = SiloV1.DropTenantHoldersRequest()
                    request.shard = shard
                    request.tenant = tenant
                    return try await router.call(SiloV1.Silo.dropTenantHolders, request, at: address).holdersDropped
                }
                var request = SiloV1.DropLimitHoldersRequest()
                request.shard = shard
                request.tenant = tenant
                request.limitKey = key
                return try await router.call(SiloV1.Silo.dropLimitHolders, request, at: address).holdersDropped
            }
        } catch {
            throw ClientError(error)
        }
    }

    private func eachShard<Answer: Sendable>(
        of target: PauseTarget, _ tenant: String?, _ send: (_ shard: String, _ address: String) async throws(Status) -> Answer
    ) async throws(ClientError) -> [Answer] {
        if case .group = target, tenant == nil { return try await eachShard(send) }
        do throws(Status) {
            return [
                try await router.run(.tenant(named: tenant)) { shard, address, _ throws(Status) in try await send(shard, address)
                }
            ]
        } catch {
            throw ClientError(error)
        }
    }

    /// Asks every shard, one after another.
    private func eachShard<Answer: Sendable>(
        _ send: (_ shard: String, _ address: String) async throws(Status) -> Answer
    ) async throws(ClientError) -> [Answer] {
        do throws(Status) {
            let shards = try await router.run(.anywhere) { _, _, _ throws(Status) in
                let topology = try await router.refresh()
                guard topology.isWhole else { throw Status(.unavailable, "nobody serves some of the shards") }
                return topology.shards.map(\.id)
            }
            var answers: [Answer] = []
            for shard in shards {
                answers.append(
                    try await router.run(.shard(shard)) { shard, address, _ throws(Status) in try await send(shard, address) })
            }
            return answers
        } catch {
            throw ClientError(error)
        }
    }
}

extension Pause {
    /// - Parameter shards: what each shard has.
    fileprivate static func merged(_ shards: [[SiloV1.PauseInfo]]) -> [Pause] {
        // By their bytes: names that look alike are two.
        struct Name: Hashable {
            let tenant: [UInt8]?
            let target: [UInt8]?
        }
        var found: [Name: (first: SiloV1.PauseInfo, target: PauseTarget, count: Int)] = [:]
        for info in shards.joined() {
            guard let target = PauseTarget(info.target) else { continue }
            let name = Name(tenant: info.tenant.map { Array($0.utf8) }, target: info.target?.serializedBytes())
            if let (first, _, count) = found[name] {
                found[name] = (first.sinceMs <= info.sinceMs ? first : info, target, count + 1)
            } else {
                found[name] = (info, target, 1)
            }
        }
        return found.values.map { value in
            var isForAll = false
            if case .group = value.target { isForAll = value.first.tenant == nil }
            return Pause(
                tenant: value.first.tenant, target: value.target, reason: value.first.reason,
                since: Date(milliseconds: value.first.sinceMs),
                isPartial: isForAll && value.count < shards.count
            )
        }.sorted { ($0.since, $0.tenant ?? "", "\($0.target)") < ($1.since, $1.tenant ?? "", "\($1.target)") }
    }
}

extension PauseTarget {
    fileprivate init?(_ message: SiloV1.PauseTarget?) {
        switch message?.target {
        case .wholeTenant: self = .tenant
        case .taskGroup(let group): self = .group(group)
        case .limitKey(let key): self = .limit(key)
        case nil: return nil
        }
    }
}

extension SiloV1.PauseTarget {
    fileprivate init(_ target: PauseTarget) {
        self.init()
        switch target {
        case .tenant: self.target = .wholeTenant(true)
        case .group(let group): self.target = .taskGroup(group)
        case .limit(let key): self.target = .limitKey(key)
        }
    }
}
