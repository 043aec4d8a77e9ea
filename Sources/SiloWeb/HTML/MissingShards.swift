/// Shards that were asked for what a page shows, and did not answer.
struct MissingShards {
    private(set) var ids: [String] = []

    init(_ ids: [String] = []) { add(ids) }

    mutating func add(_ more: [String]) {
        for id in more where !ids.contains(id) { ids.append(id) }
    }

    var html: HTML {
        HTML(joining: ids.map { id -> HTML in
            """
            <p class="finding warn missing"><span class="dot" aria-hidden="true"></span><b>Without shard</b> \(Name(id).html): \
            it does not answer, and what is there is not shown</p>
            """
        })
    }
}
