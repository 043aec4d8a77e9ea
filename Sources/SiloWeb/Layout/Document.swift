import HTTPServer

/// A whole page: head, navigation, content, foot.
struct Document {
    private let html: HTML
    /// Goes on where `html` ends, and then ends with `end`.
    private let rest: (@Sendable () async -> HTML)?
    private let end: HTML
    private let status: Int
    private let cookies: [String]

    init(_ content: Content, _ visit: Visit) {
        let head = Header(visit)
        html = Self.beginning(
            content.title, theme: visit.cookies.theme,
            """
            <a class="skip" href="#content">Skip to the content</a>\(head.html)\
            <main id="content" tabindex="-1"\(Self.live(content))>\
            <div class="notices" id="notices">\(visit.takeNotices().map { $0.html(visit) })</div>\
            \(Self.heading(content))\(content.body)
            """)
        rest = content.rest
        end = "</main>\(Self.foot(visit))\(Self.ending)"
        status = content.status
        // Last: what is above may have begun a session.
        cookies = visit.newCookies
    }

    /// For those who are not let in.
    init(plain content: Content, theme: Theme?) {
        html = Self.beginning(
            content.title, theme: theme,
            """
            <main id="content" class="plain"><p class="brand">\(Header.brand)</p>\(Self.heading(content))\(content.body)
            """)
        rest = nil
        end = "</main>\(Self.ending)"
        status = content.status
        cookies = []
    }

    private init(_ html: HTML) {
        self.html = html
        rest = nil
        end = .empty
        status = 200
        cookies = []
    }

    /// Leads on from this site, where the browser sends what it keeps back on the way from another.
    static func passage(to link: Link) -> Document {
        Document(
            """
            <!doctype html><html lang="en"><head><meta charset="utf-8"><title>Silo</title>\
            <meta http-equiv="refresh" content="0;url=\(link)"></head><body><p><a href="\(link)">Go on</a></p></body></html>
            """)
    }

    func response() -> HTTPResponse {
        var response = HTTPResponse(status: status, headers: [("Content-Type", "text/html; charset=utf-8")], body: content)
        response.headers += Security.headers
        for cookie in cookies { response.headers.append(("Set-Cookie", cookie)) }
        return response
    }

    private var content: HTTPResponse.Body {
        guard let rest else { return .bytes((html + end).bytes) }
        return .stream { [html, end] writer in
            try await writer.write(html.bytes)
            try await writer.write((await rest() + end).bytes)
        }
    }

    private static func beginning(_ title: String, theme: Theme?, _ body: HTML) -> HTML {
        """
        <!doctype html>
        <html lang="en" data-theme="\((theme ?? .auto).rawValue)" data-build="\(Assets.build)">
        <head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">\
        <meta name="color-scheme" content="light dark"><title>\(title) · Silo</title>\
        <link rel="icon" href="\(Assets.link("icon.svg"))" type="image/svg+xml">\
        <link rel="stylesheet" href="\(Assets.link("site.css"))">\
        <script type="module" src="\(Assets.link("site.js"))"></script></head>
        <body>\(body)
        """
    }

    private static let ending: HTML = "</body>\n</html>\n"

    private static func heading(_ content: Content) -> HTML {
        let about: HTML = content.about.isEmpty ? .empty : "<p class=\"about\">\(content.about)</p>"
        let actions: HTML = content.actions.isEmpty ? .empty : "<div class=\"buttons\">\(content.actions)</div>"
        return "<div class=\"heading\"><div><h1>\(content.title)</h1>\(about)</div>\(actions)</div>"
    }

    private static func live(_ content: Content) -> HTML {
        guard let topic = content.live else { return .empty }
        return " data-live=\"\(Link("/live/\(topic.name)"))\""
    }

    private static func foot(_ visit: Visit) -> HTML {
        let node = visit.site.history.node
        return """
            <footer><span>Silo \(node.version)</span><span>\(Name(node.address).html)</span>\
            <span>Times in <span id="zone">UTC</span></span><a href="\(Link("/help"))">Keys and help</a></footer>
            """
    }
}
