import HTTPServer
import SiloCore

/// What stands at the top of every page: where one is, where one can go, the search, and who one is.
struct Header {
    private let visit: Visit

    init(_ visit: Visit) { self.visit = visit }

    static let brand: HTML = """
        <svg class="mark" viewBox="0 0 24 24" aria-hidden="true"><path d="M5 9.5C5 5.4 8 3 12 3s7 2.4 7 6.5V21H5z"/>\
        <path class="cut" d="M5 12h14M5 16.5h14"/></svg>Silo
        """

    var html: HTML {
        """
        <header class="top"><div class="bar"><a class="brand" href="\(Link("/"))">\(Self.brand)</a>\
        <form class="search" role="search" action="\(Link("/search"))"><input type="search" name="q" id="search" \
        placeholder="Job, tenant, key or group" aria-label="Search for a job id, tenant, key or task group" maxlength="512" \
        autocomplete="off" spellcheck="false" required><kbd aria-hidden="true">/</kbd></form>\
        <div class="who"><button type="button" id="live" class="live" hidden>Live updates</button>\
        <span id="live-said" class="unseen" role="status"></span>\(theme)\(account)</div></div>\
        <nav class="menu" aria-label="All pages"><ul>\(entries)</ul></nav></header>
        """
    }

    private var entries: [HTML] {
        visit.site.contents.pages.compactMap { page in
            guard let title = page.menu, visit.may(page.needs), page.isFor(visit.caller) else { return nil }
            let path = visit.request.path
            let isHere = path == page.path || page.path != "/" && path.hasPrefix(page.path + "/")
            let mark: HTML = .when(isHere, " aria-current=\"page\"")
            return "<li><a href=\"\(Link(page.path))\"\(mark)>\(title)</a></li>"
        }
    }

    /// Light, dark, or as the system has it: works without scripts, and does not flash.
    private var theme: HTML {
        let now = visit.cookies.theme ?? .auto
        let next: (Theme, String) =
            switch now {
            case .auto: (.light, "Colours: as the system. Change to light")
            case .light: (.dark, "Colours: light. Change to dark")
            case .dark: (.auto, "Colours: dark. Change to the system's")
            }
        return """
            <form method="post" action="\(Link("/theme"))"><input type="hidden" name="back" value="\(visit.here)">\
            <button class="icon" name="theme" value="\(next.0.rawValue)" title="\(next.1)" aria-label="\(next.1)">\
            <svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="8"/><path d="M12 4a8 8 0 0 1 0 16z"/></svg>\
            </button></form>
            """
    }

    private var account: HTML {
        guard visit.isSignedIn else { return .empty }
        return """
            <span class="account" title="\(visit.caller.title)">\(Name(visit.caller.name).html)</span>\
            <form method="post" action="\(Link("/logout"))"><button class="button quiet">Sign out</button></form>
            """
    }
}
