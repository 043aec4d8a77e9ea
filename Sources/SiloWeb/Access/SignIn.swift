import HTTPServer
import SiloAccess
import SiloCore

/// The way in and out, where people show a token.
struct SignIn {
    private let site: Site
    private let request: HTTPRequest
    private let cookies: Cookies

    init(_ site: Site, _ request: HTTPRequest) {
        self.site = site
        self.request = request
        cookies = Cookies(request, isEncrypted: site.backend.isEncrypted)
    }

    private var peer: String { "http:\(request.address)" }

    /// Where somebody goes on who signed in.
    private func next(_ form: Form) -> Link { form["next"].flatMap(Link.init(local:)) ?? Link("/") }

    func page() async -> HTTPResponse {
        let form = Form(request.query)
        switch site.door(request) {
        case .visit: return Site.redirect(to: next(form))
        case .answer(let answer):
            guard case .tokens = site.backend.admission else { return answer }
            return page(next: next(form), problem: nil)
        }
    }

    func enter() async -> HTTPResponse {
        guard case .tokens = site.backend.admission else { return Site.redirect(to: Link("/")) }
        guard Origin(request).isOwn else { return site.plain(.fromElsewhere, request) }
        guard let form = Form(request.body, type: request.header("Content-Type")) else {
            return page(next: Link("/"), problem: "The form cannot be read.", status: 422)
        }
        let now = site.backend.clock.steady
        if let seconds = site.throttle.secondsToWait(request.address, at: now) {
            site.backend.note(.refused("too many tries to sign in"), nil, peer)
            var answer = page(
                next: next(form), problem: "Too many tries from this address. Try again in \(seconds) s.", status: 429)
            answer.headers.append(("Retry-After", "\(seconds)"))
            return answer
        }
        let token = TokenHash(of: (form["token"] ?? "").drop { $0.isWhitespace }.utf8)
        do throws(SiloError) {
            let caller = try site.backend.caller(token)
            if let old = cookies.session.flatMap(site.sessions.find) { site.sessions.end(old) }
            let session = site.sessions.begin(token)
            site.backend.note(.signedIn, caller, peer)
            return Site.redirect(to: next(form), cookies: [cookies.setSession(session.id, seconds: site.sessions.seconds)])
        } catch {
            site.throttle.failed(request.address, at: now)
            site.backend.note(.refused("no good token"), nil, peer)
            return page(next: next(form), problem: "This token is not good here: it is unknown, or has expired.", status: 401)
        }
    }

    func leave() async -> HTTPResponse {
        guard Origin(request).isOwn else { return site.plain(.fromElsewhere, request) }
        if case .visit(let visit) = site.door(request), let session = visit.currentSession, session.token != nil {
            site.sessions.end(session)
            site.backend.note(.signedOut, visit.caller, peer)
        }
        return Site.redirect(to: Link("/login"), cookies: [cookies.dropSession()])
    }

    /// For scripts whose stream ended: 204 while somebody may look, else 401.
    func state() -> HTTPResponse {
        let isWelcome = if case .visit = site.door(request) { true } else { false }
        return HTTPResponse(status: isWelcome ? 204 : 401, headers: Security.headers, body: .bytes([]))
    }

    private func page(next: Link, problem: String?, status: Int = 200) -> HTTPResponse {
        let trouble: HTML = problem.map { "<p class=\"notice trouble\" role=\"alert\" id=\"problem\">\($0)</p>" } ?? .empty
        let described: HTML = .when(problem != nil, " aria-invalid=\"true\" aria-describedby=\"problem\"")
        let content = Content(
            "Sign in", status: status,
            """
            <section class="card narrow">\(trouble)<form method="post" action="\(Link("/login"))" class="stack">\
            <input type="hidden" name="next" value="\(next)"><label for="token">Token</label>\
            <input type="password" id="token" name="token" required autofocus maxlength="4096" autocomplete="current-password" \
            spellcheck="false"\(described)><div class="buttons"><button class="button primary">Sign in</button></div></form>\
            <p class="hint">A token begins with <code>silo_</code>. Whoever runs this server makes one with \
            <code>siloctl token new</code>; its roles decide what you can see and do.</p></section>
            """)
        return Document(plain: content, theme: cookies.theme).response()
    }
}
