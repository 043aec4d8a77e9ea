import SiloAPI
import SiloCore

/// What all servers said at one moment.
struct TopSample: Sendable {
    /// What of it takes a call of its own.
    struct Wish: Sendable, Equatable {
        var view = TopView.groups
        var filter = ""
        var order = SiloV1.ListTenantsRequest.Order.backlog
    }
    private(set) var wish: Wish
    private(set) var nodes: [SiloV1.GetOverviewResponse] = []
    /// Servers that did not answer, and why.
    private(set) var missing: [(address: String, reason: String)] = []
    /// By the shards that each server has.
    private(set) var addresses: [String: String] = [:]
    /// Task groups of which nothing starts.
    private(set) var paused: Set<ExactText> = []
    /// Those with most, at most `rowsMax`; nil: they were not asked for.
    private(set) var tenants: [SiloV1.TenantInfo]?
    private(set) var tenantsMatching: UInt64 = 0
    private(set) var workers: [SiloV1.WorkerInfo]?

    static let rowsMax: UInt32 = 500

    /// Asks every server.
    static func take(_ server: Server, _ wish: Wish) async throws -> TopSample {
        var sample = TopSample(wish: wish)
        let info = try await server.clusterInfo()
        var asked: Set<String> = []
        var failure: (any Error)?
        for owner in info.shardOwners where !owner.grpcAddr.isEmpty && asked.insert(owner.grpcAddr).inserted {
            do {
                try await sample.add(try server.owner(of: owner.shardId, info), owner)
            } catch {
                failure = error
                sample.missing.append((owner.grpcAddr, "\(error)"))
            }
        }
        if sample.nodes.isEmpty { throw failure ?? Failure("no server serves a shard") }
        sample.sort()
        return sample
    }

    private mutating func add(_ server: Server, _ owner: SiloV1.ShardOwner) async throws {
        let node = try await server.call(SiloV1.Silo.getOverview, .init())
        for shard in node.shards { addresses[shard.shardId] = owner.grpcAddr }
        nodes.append(node)
        // The health says which shards do not serve.
        let serving = node.shards.first { $0.trouble.isEmpty }?.shardId
        if let serving { try await addPauses(server, serving) }
        switch wish.view {
        case .groups, .shards: break
        case .tenants:
            tenants = tenants ?? []
            guard serving != nil else { break }
            var request = SiloV1.ListTenantsRequest()
            (request.order, request.nameContains, request.limit) = (wish.order, wish.filter, Self.rowsMax)
            let page = try await server.call(SiloV1.Silo.listTenants, request)
            tenants?.append(contentsOf: page.tenants)
            tenantsMatching += page.matching
        case .workers:
            var request = SiloV1.ListWorkersRequest()
            (request.idContains, request.limit) = (wish.filter, Self.rowsMax)
            let page = try await server.call(SiloV1.Silo.listWorkers, request)
            workers = (workers ?? []) + page.workers
        }
    }

    /// Those of a group of all tenants are on every shard.
    private mutating func addPauses(_ server: Server, _ shard: String) async throws {
        var request = SiloV1.ListPausesRequest()
        request.shard = shard
        for pause in try await server.call(SiloV1.Silo.listPauses, request).pauses where pause.tenant == nil {
            if case .taskGroup(let group) = pause.target?.target { paused.insert(ExactText(group)) }
        }
    }

    private mutating func sort() {
        if let all = tenants {
            tenants = Array(all.sorted { $0.orderValue > $1.orderValue }.prefix(Int(Self.rowsMax)))
        }
        if let all = workers {
            let joined = Dictionary(all.map { (ExactText($0.workerId), $0) }) { $0.joined($1) }
            workers = joined.values.sorted { $0.workerId < $1.workerId }
        }
    }
}

/// The tables that `top` can show.
enum TopView: String, Sendable, CaseIterable {
    case groups, tenants, shards, workers

    var title: String { rawValue.prefix(1).uppercased() + rawValue.dropFirst() }
    var key: Character { rawValue.first ?? "g" }
    var next: TopView { Self.allCases[((Self.allCases.firstIndex(of: self) ?? 0) + 1) % Self.allCases.count] }
    var previous: TopView { next.next.next }
}
