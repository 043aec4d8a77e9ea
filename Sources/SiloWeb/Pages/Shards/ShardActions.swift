import SiloAPI

/// What is done to the storage of one shard.
enum ShardActions {
    static let flush: Action = Action("/do/flush", needs: SiloV1.Silo.flushShard) { visit, form in
        let shard = try named(form, visit)
        return Action.Confirmation(
            title: "Flush this shard?",
            text: """
                Rows of shard \(shard.link) that are in memory and in the log are written to sorted files now\(rows(shard)), as \
                the shard does by itself from time to time. Nothing is lost without it: they are durable in the log.
                """,
            button: "Flush")
    } perform: { visit, form in
        let shard = try named(form, visit)
        var request = SiloV1.FlushShardRequest()
        request.shard = shard.id
        _ = try await visit.call(SiloV1.Silo.flushShard, request)
        return Action.Outcome(
            notice: Notice(.done, "Shard \(shard.link) is flushed: all that it has accepted is in sorted files."))
    }

    static let compact: Action = Action("/do/compact", needs: SiloV1.Silo.compactShard) { visit, form in
        let shard = try named(form, visit)
        return Action.Confirmation(
            title: "Compact this shard?",
            text: """
                All sorted files of shard \(shard.link) are merged into one run, which frees what was deleted. It reads and \
                writes all of them once, beside the work that goes on, and takes as much room again until it is done.
                """,
            button: "Compact")
    } perform: { visit, form in
        let shard = try named(form, visit)
        var request = SiloV1.CompactShardRequest()
        request.shard = shard.id
        _ = try await visit.call(SiloV1.Silo.compactShard, request)
        return Action.Outcome(
            notice: Notice(.done, "Shard \(shard.link) is being compacted. The page shows one run when it is done."))
    }

    static let all = [flush, compact]

    private static func named(_ form: Form, _ visit: Visit) throws -> Figures.Shard {
        let id = try form.required("shard").lowercased()
        guard let shard = visit.site.backend.figures().shards.first(where: { $0.id == id }) else {
            throw PageFailure(
                404, "There is no such shard", "No shard of this server is called \(Name.visible(String(id.prefix(100)))).",
                way: ("Go to the shards", Link("/shards")))
        }
        return shard
    }

    private static func rows(_ shard: Figures.Shard) -> HTML {
        shard.log.map { ", \(Quantity.bytes($0.overlayBytes)) of them" } ?? .empty
    }
}

extension Figures.Shard {
    fileprivate var link: HTML { .link(.shard(id), "<code>\(String(id.prefix(8)))</code>") }
}
