import SiloAPI
import SiloCore

/// The shards, who has them and how they stand; and the servers.
enum ShardsPage {
    static let page = Page("/shards", menu: "Shards", needs: SiloV1.Silo.getNodeInfo) { visit in
        let cluster = try await visit.call(SiloV1.Silo.getClusterInfo, .init())
        let (now, closeUp) = (visit.site.backend.figures(), visit.site.backend.closeUp())
        let node = NodeParts(now, closeUp, at: visit.now)
        return Content(
            "Shards and nodes", about: about(cluster, now), live: topic,
            """
            <section class="card"><h2>Shards</h2>\(table(cluster, now, closeUp, visit).html)\(Self.legend)</section>\
            <section class="card after"><h2>Nodes</h2>\(nodes(cluster, now).html)</section>\
            <section class="card after"><h2>This server</h2><div id="node">\(node.html)</div></section>
            """)
    }

    /// Each number by itself: a table that is drawn anew each second cannot be read.
    static let topic = LiveTopic("shards", needs: SiloV1.Silo.getNodeInfo) { site in
        let (now, closeUp, at) = (site.history.now, site.backend.closeUp(), site.backend.clock.now)
        let shards = now.shards.flatMap { ShardFigures($0, closeUp, now: at).regions }
        return shards + [.init("node", NodeParts(now, closeUp, at: at).html)]
    }

    private static let legend: HTML = .hint(
        """
        Below the size: sorted files that are not merged yet, and runs that files were merged into. To merge: bytes that are \
        not in the largest run. In the log: rows that are not in sorted files yet, and when a checkpoint last moved them there.
        """)

    private static func about(_ cluster: SiloV1.GetClusterInfoResponse, _ now: Figures) -> HTML {
        let serving = now.shards.count { $0.state == .serves }
        let all = now.shards.count
        let state: HTML = serving == all ? "this server serves all of its own" : "this server serves \(serving) of its \(all)"
        return "\(Quantity.of(cluster.numShards, "shard")), \(state)"
    }

    private static func table(
        _ cluster: SiloV1.GetClusterInfoResponse, _ now: Figures, _ closeUp: CloseUp, _ visit: Visit
    ) -> Table {
        let known = Dictionary(now.shards.map { ($0.id, $0) }) { first, _ in first }
        let rows = cluster.shardOwners.map { owner -> [HTML] in
            let figures = known[owner.shardId].map { ShardFigures($0, closeUp, now: visit.now) }
            func cell(_ part: ShardFigures.Part) -> HTML { figures?.html(part) ?? "–" }
            let state: HTML = figures == nil ? "<span class=\"badge\">elsewhere</span>" : cell(.state)
            let slices: HTML = known[owner.shardId].map { below("\(Quantity.of($0.slices.count, "slice"))") } ?? .empty
            return [
                ShardLink.html(owner.shardId, visit), "<span class=\"nowrap\"><code>\(owner.rangeText)</code>\(slices)</span>",
                "\(state)\(below(node(owner.nodeId, now)))",
                cell(.ready), cell(.limits), cell(.running), cell(.scheduled), cell(.finished),
                "\(cell(.size))\(below(cell(.files)))", cell(.debt), "\(cell(.log))\(below(cell(.checkpoint)))", cell(.wait),
            ]
        }
        let columns: [Table.Column] = [
            .init("Shard"), .init("Range"), .init("State"), .init("Ready", number: true), .init("At limits", number: true),
            .init("Running", number: true), .init("Scheduled", number: true), .init("Finished", number: true),
            .init("Size", number: true), .init("To merge", number: true), .init("In the log", number: true),
            .init("Oldest request", number: true),
        ]
        return Table(caption: "Shards", columns: columns, rows: rows, empty: Empty("The shards are being opened"))
    }

    private static func below(_ content: HTML) -> HTML { "<div class=\"below\">\(content)</div>" }

    private static func node(_ id: String, _ now: Figures) -> HTML {
        guard !id.isEmpty else { return "<span class=\"badge bad\">nobody</span>" }
        return id == now.node.name ? "<span class=\"nowrap\">on this server</span>" : "on \(Name(String(id.prefix(12))).html)"
    }

    private static func nodes(_ cluster: SiloV1.GetClusterInfoResponse, _ now: Figures) -> Table {
        let rows = cluster.members.map { member -> [HTML] in
            let isThis = member.nodeId == cluster.thisNodeId
            let owned = cluster.shardOwners.count { $0.nodeId == member.nodeId }
            let this: HTML = .when(isThis, " <span class=\"badge accent\">this one</span>")
            let version: HTML = isThis ? "\(now.node.version)" : "–"
            let name: HTML = "<span>\(Name(member.nodeId).html)\(this)</span>"
            return [name, Name(member.grpcAddr).html, "\(Quantity.count(owned))", version]
        }
        let columns: [Table.Column] = [.init("Node"), .init("Address"), .init("Shards", number: true), .init("Version")]
        return Table(caption: "Nodes", columns: columns, rows: rows, empty: Empty("No server is known"))
    }
}

extension SiloV1.ShardOwner {
    /// Of tenants' hashes: their first digits say enough, for a shard begins and ends with a slice.
    var rangeText: String {
        let first = rangeStart.isEmpty ? "0000" : String(rangeStart.prefix(4))
        return first + " – " + (rangeEnd.isEmpty ? "end" : String(rangeEnd.prefix(4)))
    }
}
