import GRPC
package import SiloCore

/// One request on its way: what to do next, from what is known of the shards and from how the last try ended (spec/clients.md 5).
///
/// It decides and does nothing itself: `Router` takes its steps and tells it what came of them.
struct Delivery: Sendable {
    enum Step: Equatable, Sendable {
        /// Ask where the shards are; then `learnt`, or `failed`.
        case learn
        /// One try; when it fails, `failed`.
        case send(shard: String, address: String)
        /// Ask anew where the shards are; then `refreshed`, whether or not anybody answered.
        case refresh
        /// Then `next`.
        case pause(Duration)
        case fail(Status)
    }
    private let target: Target
    private let repeats: Repeats
    private let options: ClientOptions
    private var pause: Duration
    /// Why the last try failed, until the next begins.
    private var failure: Status?
    private var isLearning = false
    /// Tries that came before this one.
    private(set) var tries = 0
    private static let pauseMax = Duration.seconds(5)

    init(to target: Target, _ repeats: Repeats, _ options: ClientOptions) {
        self.target = target
        self.repeats = repeats
        self.options = options
        pause = options.retryPause
    }

    /// At the beginning, and after a pause.
    mutating func next(_ map: inout RouteMap) -> Step {
        failure = nil
        switch target {
        case .anywhere: return .send(shard: "", address: map.address(of: ""))
        case .shard(let id): return .send(shard: id, address: map.address(of: id))
        case .tenant(let tenant):
            guard let topology = map.topology else {
                isLearning = true
                return .learn
            }
            guard let shard = topology.shard(of: tenant)?.id else {
                return failed(Status(.unavailable, "nobody serves the shard of tenant \(tenant.name)"), at: "", &map)
            }
            return .send(shard: shard, address: map.address(of: shard))
        }
    }

    mutating func learnt(_ map: inout RouteMap) -> Step {
        isLearning = false
        return next(&map)
    }

    /// - Parameter shard: where the request was sent.
    mutating func failed(_ status: Status, at shard: String, _ map: inout RouteMap) -> Step {
        let hasJustAsked = isLearning
        isLearning = false
        guard repeats.allow(status, after: tries, options) else { return .fail(status) }
        failure = status
        if status.isWrongShard, let address = status.redirect {
            map.move(shard, to: address)
            return again()
        }
        return hasJustAsked ? again() : .refresh
    }

    mutating func refreshed(_ map: RouteMap) -> Step {
        if let failure, failure.isWrongShard, case .shard(let id) = target, map.isGone(id) { return .fail(failure) }
        return again()
    }

    private mutating func again() -> Step {
        defer { pause = min(pause * 2, Self.pauseMax) }
        tries += 1
        return .pause(pause)
    }
}

/// Whom a request is for.
package enum Target: Hashable, Sendable {
    case tenant(Tenant)
    case shard(String)
    /// Any server: the request finds its way by itself.
    case anywhere

    /// - Parameter name: nil where servers have tenancy off.
    package static func tenant(named name: String?) -> Target { .tenant(name.map { Tenant($0) } ?? .none) }
}

/// How often a request may be sent again.
package enum Repeats: Sendable {
    /// As often as the client's options say, also when nobody knows whether it arrived.
    case asConfigured
    /// Until it is taken or refused for good, or the task is cancelled.
    case forever
    /// As often as the options say, when it went to a server that does not hold the shard: that one did nothing.
    case whenMisdirected

    fileprivate func allow(_ status: Status, after tries: Int, _ options: ClientOptions) -> Bool {
        switch self {
        case .asConfigured: status.isWorthAnotherTry && tries < options.retriesMax
        case .forever: status.isWorthAnotherTry
        case .whenMisdirected: status.isWrongShard && tries < options.retriesMax
        }
    }
}

extension Status {
    /// Where the shard is, by a server that does not hold it.
    var redirect: String? { trailers["x-silo-shard-owner-addr"] }
}
