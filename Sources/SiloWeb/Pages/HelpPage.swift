import SiloCore

/// What the keys do, what pages there are, and what the page is.
enum HelpPage {
    static let keys: [(key: String, what: HTML)] = [
        ("/", "search for a job id, tenant, key or task group"),
        ("g then a letter", "go to a page: the letter is underlined in the menu while it waits"),
        ("j, k", "to the next row of a table, and to the one before"),
        ("Enter", "open what is selected"),
        ("n", "the next page of a list"),
        ("p", "stop and continue live updates"),
        ("Ctrl Enter", "run the statement in the editor of SQL"),
        ("Ctrl Space, Tab", "there: show what may stand here, and take it"),
        ("Alt ↑, Alt ↓", "there: the statements that ran before"),
        ("?", "this help"),
        ("Esc", "leave a field, or close what is open"),
    ]

    /// By their addresses; those that one comes to from others are named with them.
    private static let pages: [String: HTML] = [
        "/": "whether the server is well, what it does and what waits, now and in the last 24 hours",
        "/groups": "how much waits in each task group and how fast it goes; one of them with its run times; pausing",
        "/workers": "who asks for work and holds what; giving a worker nothing new before it is stopped",
        "/tenants": "those with most to do; one of them with its task groups, limits and failures; pausing, deleting",
        "/limits": "what is held of each limit and who waits; one of them with its line",
        "/jobs": """
            jobs by status, group, tenant, label and limit; one of them with its attempts and why it waits; cancelling, \
            restarting, starting at once, deleting and enqueuing again, one, several or all that match
            """,
        "/actions": "what is done to many jobs in the background, and what was",
        "/failures": "jobs that failed for good, by error code and task group; retrying them",
        "/schedule": "how many jobs start when, and the next of them",
        "/shards": "how each shard stands, what it does now and what it holds on storage; flushing and compacting; the servers",
        "/configuration": "every setting: what is in force, where it comes from, what it does",
        "/audit": "what administrators did, and who was refused",
        "/sql": "questions in SQL",
    ]

    static let show: @Sendable (Visit) async throws -> Content = { visit in
        let rows = keys.map { key, what -> HTML in "<tr><th scope=\"row\"><kbd>\(key)</kbd></th><td>\(what)</td></tr>" }
        return Content(
            "Keys and help",
            """
            <section class="card narrow"><h2>Keys</h2>\
            <table class="keys"><caption>What the keys do</caption><tbody>\(rows)</tbody></table>\
            <p class="hint">Keys need scripts; everything that they do, links and buttons do as well.</p></section>\
            <section class="card narrow"><h2>Pages</h2>\
            <table class="keys"><caption>What pages there are</caption><tbody>\(places(visit))</tbody></table></section>\
            <section class="card narrow"><h2>What you see</h2>\
            <p>You are \(Name(visit.caller.title).html). What you see and can do is what your roles allow, as for calls of the \
            API, and is written to the same audit log.</p>\
            <p>Every page has an address that shows the same to a colleague who may see it. Times are relative; the exact time \
            shows when you point at one.</p></section>
            """)
    }

    /// Those that the visitor may see.
    private static func places(_ visit: Visit) -> [HTML] {
        visit.site.contents.pages.compactMap { page in
            guard visit.may(page.needs), page.isFor(visit.caller), let what = pages[page.path] else { return nil }
            let title = page.menu ?? "Actions in the background"
            return "<tr><th scope=\"row\"><a href=\"\(Link(page.path))\">\(title)</a></th><td>\(what)</td></tr>"
        }
    }
}
