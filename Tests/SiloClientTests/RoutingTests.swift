import GRPC
import SiloAPI
@testable import SiloClient
import SiloCore
import Testing

/// Where requests go and what is done when they fail: decisions only, nothing is sent.
@Suite(.timeLimit(.minutes(10))) struct RoutingTests {
    private static func topology(_ owners: [ScriptedServer.Owner] = ScriptedServer.fourShards) -> Topology {
        Topology(SiloV1.GetClusterInfoResponse(owners))
    }

    private static func map(_ owners: [ScriptedServer.Owner]? = ScriptedServer.fourShards) -> RouteMap {
        var map = RouteMap(seeds: ["seed:1", "h1:1"])
        if let owners { map.learn(topology(owners)) }
        return map
    }

    /// Tenants by the first digit of their hashes.
    private static func tenant(of shard: Int) throws -> Tenant {
        try #require((0..<1000).lazy.map { Tenant("tenant-\($0)") }.first { Int($0.hash.value >> 62) == shard })
    }

    // MARK: The map

    @Test(arguments: 0..<4) func aTenantIsOfTheShardWhoseRangeHasItsHash(_ shard: Int) throws {
        let tenant = try Self.tenant(of: shard)
        #expect(Self.topology().shard(of: tenant)?.id == "s\(shard)")
        // In whatever order the server names them.
        #expect(Self.topology(ScriptedServer.fourShards.reversed()).shard(of: tenant)?.id == "s\(shard)")
    }

    @Test func aTenantOfAShardWithoutOwnerHasNone() throws {
        var owners = ScriptedServer.fourShards
        owners[2].address = ""
        let topology = Self.topology(owners)
        #expect(try topology.shard(of: Self.tenant(of: 2)) == nil && topology.shard(of: Self.tenant(of: 3))?.id == "s3")
        #expect(!topology.isWhole && Self.topology().isWhole)
        // It may come back; a shard that nobody names when all have owners will not.
        #expect(!Self.map(owners).isGone("s2") && !Self.map(owners).isGone("unknown"))
        #expect(Self.map().isGone("unknown") && !Self.map().isGone("s2") && !Self.map(nil).isGone("s2"))
    }

    @Test func aRedirectCountsUntilTheNextTopology() {
        var map = Self.map()
        map.move("s1", to: "new:1")
        #expect(map.address(of: "s1") == "new:1" && map.address(of: "s2") == "h2:1")
        map.learn(Self.topology())
        #expect(map.address(of: "s1") == "h1:1")
    }

    @Test func anUnknownShardIsAskedForAtEachServerInTurn() {
        var map = Self.map()
        #expect(Set((0..<4).map { _ in map.address(of: "unknown") }) == ["h0:1", "h1:1", "h2:1", "h3:1"])
        map = Self.map(nil)
        #expect(Set((0..<2).map { _ in map.address(of: "unknown") }) == ["seed:1", "h1:1"])
        #expect(Self.map(nil).sources == ["seed:1", "h1:1"])
        #expect(Self.map().sources == ["h0:1", "h1:1", "h2:1", "h3:1", "seed:1"])
    }

    @Test func aServerThatAnsweredIsReachedAsItWasNamed() {
        var info = SiloV1.GetClusterInfoResponse(ScriptedServer.fourShards)
        info.thisGrpcAddr = "h2:1"
        #expect(Topology(info, answerer: "localhost:9").address(of: "s2") == "localhost:9")
        #expect(Topology(info, answerer: "localhost:9").address(of: "s1") == "h1:1")
        #expect(Topology(info).address(of: "s2") == "h2:1")
    }

    // MARK: One request

    /// What happens to a request, and the step that it takes then.
    enum Event { case next, learnt, failed(Status), refreshed, learns([ScriptedServer.Owner]) }

    private static let away = Status(.unavailable, "away")
    private static let wrongShard = Status(.notFound, "shard not found")
    private static var redirect: Status {
        var status = wrongShard
        status.trailers.append("x-silo-shard-owner-addr", "new:1")
        return status
    }
    private static func pause(_ milliseconds: Int) -> Delivery.Step { .pause(.milliseconds(milliseconds)) }

    private static func check(
        _ target: Target, _ repeats: Repeats = .asConfigured, known: [ScriptedServer.Owner]? = ScriptedServer.fourShards,
        steps script: [(Event, Delivery.Step?)], _ location: SourceLocation = #_sourceLocation
    ) {
        var map = map(known)
        var options = ClientOptions(servers: [])
        options.retriesMax = 2
        var delivery = Delivery(to: target, repeats, options)
        for (number, (event, expected)) in script.enumerated() {
            let step: Delivery.Step?
            switch event {
            case .next: step = delivery.next(&map)
            case .learnt: step = delivery.learnt(&map)
            case .failed(let status): step = delivery.failed(status, at: "s1", &map)
            case .refreshed: step = delivery.refreshed(map)
            case .learns(let owners):
                map.learn(topology(owners))
                step = nil
            }
            #expect(step == expected, "step \(number)", sourceLocation: location)
        }
    }

    private static let toS1 = Delivery.Step.send(shard: "s1", address: "h1:1")

    @Test func aTenantsShardIsAskedForBeforeTheFirstRequest() throws {
        let tenant = try Self.tenant(of: 1)
        Self.check(.tenant(tenant), known: nil, steps: [
            (.next, .learn), (.learns(ScriptedServer.fourShards), nil), (.learnt, Self.toS1),
        ])
        // Nobody answers: asking again at once would be in vain.
        Self.check(.tenant(tenant), known: nil, steps: [
            (.next, .learn), (.failed(Self.away), Self.pause(250)), (.next, .learn), (.failed(Self.away), Self.pause(500)),
            (.next, .learn), (.failed(Self.away), .fail(Self.away)),
        ])
    }

    @Test func silenceIsRepeatedWithPausesThatDouble() throws {
        Self.check(.tenant(try Self.tenant(of: 1)), steps: [
            (.next, Self.toS1), (.failed(Self.away), .refresh), (.refreshed, Self.pause(250)),
            (.next, Self.toS1), (.failed(Status(.deadlineExceeded)), .refresh), (.refreshed, Self.pause(500)),
            (.next, Self.toS1), (.failed(Self.away), .fail(Self.away)),
        ])
        var rounds: [(Event, Delivery.Step?)] = []
        for pause in [250, 500, 1000, 2000, 4000, 5000, 5000] {
            rounds += [(.next, Self.toS1), (.failed(Self.away), .refresh), (.refreshed, Self.pause(pause))]
        }
        Self.check(.shard("s1"), .forever, steps: rounds)
    }

    @Test func aRedirectIsFollowedWithoutAsking() throws {
        Self.check(.tenant(try Self.tenant(of: 1)), steps: [
            (.next, Self.toS1), (.failed(Self.redirect), Self.pause(250)), (.next, .send(shard: "s1", address: "new:1")),
        ])
    }

    @Test func aTenantFollowsItsShardAndAShardStaysItself() throws {
        var owners = ScriptedServer.fourShards
        owners[1] = .init(id: "other", address: "o:1", start: owners[1].start, end: owners[1].end)
        Self.check(.tenant(try Self.tenant(of: 1)), steps: [
            (.next, Self.toS1), (.failed(Self.wrongShard), .refresh), (.learns(owners), nil), (.refreshed, Self.pause(250)),
            (.next, .send(shard: "other", address: "o:1")),
        ])
        // Nobody will ever know it again.
        Self.check(.shard("s1"), .forever, steps: [
            (.next, Self.toS1), (.failed(Self.wrongShard), .refresh), (.learns(owners), nil),
            (.refreshed, .fail(Self.wrongShard)),
        ])
        owners[1].address = ""
        Self.check(.shard("s1"), steps: [
            (.next, Self.toS1), (.failed(Self.wrongShard), .refresh), (.learns(owners), nil), (.refreshed, Self.pause(250)),
        ])
    }

    @Test func aShardThatNobodyServesIsWaitedFor() throws {
        var owners = ScriptedServer.fourShards
        owners[1].address = ""
        let tenant = try Self.tenant(of: 1)
        Self.check(.tenant(tenant), known: owners, steps: [
            (.next, .refresh), (.refreshed, Self.pause(250)), (.next, .refresh), (.learns(ScriptedServer.fourShards), nil),
            (.refreshed, Self.pause(500)), (.next, Self.toS1),
        ])
        let failure = Status(.unavailable, "nobody serves the shard of tenant \(tenant.name)")
        Self.check(.tenant(tenant), .whenMisdirected, known: owners, steps: [(.next, .fail(failure))])
    }

    @Test(arguments: [
        Status(.invalidArgument, "priority"), Status(.alreadyExists), Status(.notFound, "job not found"), Status(.cancelled),
        Status(.resourceExhausted, "Received message larger than max"), Status(.unauthenticated), Status(.internalError, "bug"),
    ])
    func aRefusalEndsIt(_ status: Status) {
        for repeats in [Repeats.asConfigured, .forever, .whenMisdirected] {
            Self.check(.shard("s1"), repeats, steps: [(.next, Self.toS1), (.failed(status), .fail(status))])
        }
    }

    @Test func whatMayHaveArrivedIsNotRepeatedWhenThatDoesHarm() {
        Self.check(.shard("s1"), .whenMisdirected, steps: [(.next, Self.toS1), (.failed(Self.away), .fail(Self.away))])
        Self.check(.shard("s1"), .whenMisdirected, steps: [
            (.next, Self.toS1), (.failed(Self.redirect), Self.pause(250)), (.next, .send(shard: "s1", address: "new:1")),
            (.failed(Self.redirect), Self.pause(500)), (.next, .send(shard: "s1", address: "new:1")),
            (.failed(Self.redirect), .fail(Self.redirect)),
        ])
    }
}
