import SiloAPI
import SiloCore

/// One shard in full: how it stands, what it does at this moment, and what its files are like.
enum ShardPage {
    static let page = Page("/shards/:id", needs: SiloV1.Silo.getNodeInfo) { visit in
        let id = visit.part("id").lowercased()
        let homes = try await Homes(visit)
        guard let owner = homes.owners.first(where: { $0.shardId == id }) else {
            throw PageFailure(
                404, "There is no such shard", "No shard is called \(Name.visible(String(id.prefix(100)))).",
                way: ("Go to the shards", Link("/shards")))
        }
        guard let shard = visit.site.backend.figures().shards.first(where: { $0.id == id }) else {
            return elsewhere(owner)
        }
        let parts = ShardParts(shard, visit.site.backend.closeUp(), at: visit.now)
        func part(_ name: ShardParts.Part) -> HTML { "<div id=\"\(parts.id(name))\">\(parts.content(name))</div>" }
        return Content(
            "Shard \(id.prefix(8))", about: about(shard),
            actions: actions(id, visit), live: topic,
            """
            \(part(.head))\(part(.tiles))\
            <section class="split"><div class="card"><h2>What it does now</h2>\(part(.does))</div>\
            <div class="card"><h2>Storage</h2>\(part(.storage))</div></section>\(try await levels(id, shard, visit))
            """)
    }

    private static func about(_ shard: Figures.Shard) -> HTML {
        let (first, last) = (shard.slices.lowerBound, shard.slices.upperBound)
        return """
            <code>\(shard.id)</code>, with the tenants whose hashes are in <code>\(shard.range)</code>: slices \(first) to \(last)
            """
    }

    /// Of all shards that are open here: what has not changed is not sent.
    static let topic = LiveTopic("shard", needs: SiloV1.Silo.getNodeInfo) { site in
        let (now, closeUp, at) = (site.history.now, site.backend.closeUp(), site.backend.clock.now)
        return now.shards.flatMap { ShardParts($0, closeUp, at: at).regions }
    }

    private static func elsewhere(_ owner: SiloV1.ShardOwner) -> Content {
        let place: HTML = owner.grpcAddr.isEmpty ? "Nobody has it now." : "Server \(Name(owner.grpcAddr).html) has it."
        return Content("Shard \(owner.shardId.prefix(8))", "<section class=\"card narrow\"><p>\(place)</p></section>")
    }

    private static func actions(_ id: String, _ visit: Visit) -> HTML {
        ShardActions.flush.button("Flush…", [("shard", id)], from: visit)
            + ShardActions.compact.button("Compact…", [("shard", id)], from: visit)
    }

    /// The sorted files level by level, as storage has them at this moment.
    private static func levels(_ id: String, _ shard: Figures.Shard, _ visit: Visit) async throws -> HTML {
        guard visit.may(SiloV1.Silo.getShardStorageInfo), shard.state == .serves || shard.state == .behind else { return .empty }
        var request = SiloV1.GetShardStorageInfoRequest()
        request.shard = id
        let info: SiloV1.GetShardStorageInfoResponse
        do { info = try await visit.call(SiloV1.Silo.getShardStorageInfo, request) } catch {
            // The rest of the page is no worse for it.
            let why = Name.visible(String(error.text.prefix(300)))
            return "<section class=\"card after\"><h2>Levels</h2><p>They cannot be read now: \(why).</p></section>"
        }
        return "<section class=\"card after\"><h2>Levels</h2>\(ShardLevelsTable(info).html)</section>"
    }
}

/// The levels of a database of sorted files: those that are not merged, then each run of merged ones.
struct ShardLevelsTable {
    private let info: SiloV1.GetShardStorageInfoResponse
    private static let runsMax = 64

    init(_ info: SiloV1.GetShardStorageInfoResponse) { self.info = info }

    var html: HTML {
        let most = max(info.totalL0Size, info.sortedRuns.map(\.estimatedSize).max() ?? 0)
        func row(_ name: HTML, _ files: UInt64, _ bytes: UInt64) -> [HTML] {
            [name, "\(Quantity.count(files))", "\(Quantity.bytes(bytes))", Gauge(Double(bytes), of: Double(most)).html]
        }
        let runs = info.sortedRuns.prefix(Self.runsMax).map { row("Run \($0.id)", $0.sstCount, $0.estimatedSize) }
        let files = info.l0SstCount + info.sortedRuns.reduce(0) { $0 + $1.sstCount }
        let table = Table(
            caption: "Sorted files by level",
            columns: [.init("Level"), .init("Files", number: true), .init("Size", number: true), .init("Share")],
            rows: files == 0 ? [] : [row("Not merged yet", info.l0SstCount, info.totalL0Size)] + runs,
            empty: Empty("There are no sorted files yet", next: "Rows are in memory and in the log; a flush moves them."))
        let rest: HTML = .when(
            info.sortedRuns.count > Self.runsMax, .hint("The newest \(Self.runsMax) of \(info.sortedRuns.count) runs."))
        return "\(table.html)\(rest)"
    }
}
