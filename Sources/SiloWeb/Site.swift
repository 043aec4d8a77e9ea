package import HTTPServer
import SiloCore

/// The operators' web page: what it shows, and who sees it. Everything is rendered here; scripts only keep pages current.
package final class Site: Sendable {
    let backend: WebBackend
    let sessions: Sessions
    let throttle = SignInThrottle()
    let hub = EventHub()
    let history: History
    let contents: Contents
    let schema = SQLSchema()
    let exports: ExportSlots

    /// What the site has.
    struct Contents: Sendable {
        /// In the order of the navigation.
        var pages: [Page] = [
            OverviewPage.page, GroupsPage.page, GroupPage.page, WorkersPage.page, WorkerPage.page, TenantsPage.page,
            TenantPage.page, LimitsPage.page, LimitPage.page, JobsPage.page, JobPage.page, BulkPages.list, BulkPages.one,
            FailuresPage.page, SchedulePage.page, SQLPage.page, ShardsPage.page, ShardPage.page, ConfigurationPage.page,
            AuditLogPage.page,
        ]
        var downloads: [Download] = [SQLExport.download]
        var actions: [Action] = PauseActions.all + TenantActions.all + WorkerActions.all + JobActions.all + BulkActions.all
            + ShardActions.all
        var topics: [LiveTopic] = OverviewPage.topics + [GroupsPage.topic, ShardsPage.topic, ShardPage.topic]
    }

    package convenience init(_ backend: WebBackend) { self.init(backend, Contents()) }

    init(_ backend: WebBackend, _ contents: Contents, exports: ExportSlots = ExportSlots()) {
        self.backend = backend
        self.contents = contents
        self.exports = exports
        sessions = Sessions(milliseconds: backend.sessionMilliseconds, random: backend.random, clock: backend.clock)
        history = History(at: backend.clock.steady)
    }

    /// Serves the site beside what is there already. Nothing may be added to the routes after it that is not its own.
    package func serve(on routes: inout HTTPRoutes) {
        for asset in Assets.all {
            routes.add("GET", Assets.path(of: asset)) { asset.response($0) }
        }
        for page in contents.pages {
            routes.add("GET", page.path) { [self] in await show($0, needs: page.needs, page.show) }
            guard page.formBytesMax > 0 else { continue }
            routes.add("POST", page.path, bodyBytesMax: page.formBytesMax) { [self] request in
                await asked(request) { request in
                    await show(request, needs: page.needs) { visit in
                        try visit.recognisePosted()
                        return try await page.show(visit)
                    }
                }
            }
        }
        for download in contents.downloads {
            routes.add("GET", download.path) { [self] in await give($0, download) }
            guard download.formBytesMax > 0 else { continue }
            routes.add("POST", download.path, bodyBytesMax: download.formBytesMax) { [self] request in
                await asked(request) { await give($0, download) }
            }
        }
        for action in contents.actions {
            routes.add("GET", action.path) { [self] in await show($0, needs: action.needs, action.confirmation) }
            routes.add("POST", action.path, bodyBytesMax: Form.bytesMax) { [self] in await act($0, action) }
        }
        routes.add("GET", "/cluster") { [self] in await show($0, needs: OverviewPage.page.needs, OverviewPage.page.show) }
        routes.add("GET", "/help") { [self] in await show($0, HelpPage.show) }
        routes.add("GET", "/search") { [self] in await show($0, SearchPage.show) }
        routes.add("GET", "/login") { [self] in await SignIn(self, $0).page() }
        routes.add("POST", "/login", bodyBytesMax: 16 << 10) { [self] in await SignIn(self, $0).enter() }
        routes.add("POST", "/logout", bodyBytesMax: 16 << 10) { [self] in await SignIn(self, $0).leave() }
        routes.add("GET", "/session") { [self] in SignIn(self, $0).state() }
        routes.add("POST", "/theme", bodyBytesMax: 16 << 10) { [self] in setTheme($0) }
        routes.add("GET", "/live/:topic") { [self] in live($0) }
        routes.fallback { [self] request in
            await show(request) { _ in throw PageFailure.notFound(request.path) }
        }
    }

    /// Counts and tells what has changed, each second, until the task is cancelled.
    package func run() async {
        repeat {
            let figures = backend.figures()
            history.add(figures, at: backend.clock.steady)
            for topic in contents.topics where topic.isDue(hub) { await topic.publish(on: hub, self) }
        } while (try? await backend.clock.sleep(milliseconds: 1000)) != nil
    }

    /// Ends the streams, so that the server need not wait for them; their clients come again.
    package func endStreams() { hub.endAll() }

    // MARK: Answering

    /// Who asks, or what is answered instead of the page.
    enum Door {
        case visit(Visit)
        case answer(HTTPResponse)
    }

    func door(_ request: HTTPRequest) -> Door {
        let cookies = Cookies(request, isEncrypted: backend.isEncrypted)
        let session = cookies.session.flatMap(sessions.find)
        switch backend.admission {
        case .certificatesAlone:
            return .answer(plain(.noTokens, request))
        case .open:
            guard Origin(request).isThisMachine else { return .answer(plain(.openToThisMachine, request)) }
            return .visit(Visit(request, .anonymous, session, cookies, self))
        case .tokens:
            guard let session, let token = session.token else { return .answer(askToSignIn(request)) }
            do {
                return .visit(Visit(request, try backend.caller(token), session, cookies, self))
            } catch {
                // The token was taken away, or has ended.
                sessions.end(session)
                return .answer(askToSignIn(request))
            }
        }
    }

    private func askToSignIn(_ request: HTTPRequest) -> HTTPResponse {
        guard request.method == "GET" || request.method == "HEAD" else { return plain(.needsSignIn, request) }
        let wanted = Link(of: request.query, path: request.path)
        // The cookie is kept back on the way from another site, and comes on the way from this one.
        if Origin(request).isLinkFromElsewhere { return Document.passage(to: wanted).response() }
        return Self.redirect(to: Link("/login", [("next", wanted.text == "/" ? nil : wanted.text)]))
    }

    private func show(
        _ request: HTTPRequest, needs method: String? = nil, _ page: @Sendable (Visit) async throws -> Content
    ) async -> HTTPResponse {
        switch door(request) {
        case .answer(let answer): return answer
        case .visit(let visit):
            do {
                if let method { try check(visit, method) }
                return Document(try await page(visit), visit).response()
            } catch let passage as Passage {
                return Self.redirect(to: passage.to, visit)
            } catch {
                return Document(Content(failure: PageFailure(of: error)), visit).response()
            }
        }
    }

    /// A form that only asks, which no page elsewhere may send.
    private func asked(_ request: HTTPRequest, _ answer: (HTTPRequest) async -> HTTPResponse) async -> HTTPResponse {
        guard Origin(request).isOwn else { return plain(.fromElsewhere, request) }
        return await answer(request)
    }

    private func give(_ request: HTTPRequest, _ download: Download) async -> HTTPResponse {
        switch door(request) {
        case .answer(let answer): return answer
        case .visit(let visit):
            do {
                try check(visit, download.needs)
                if request.method == "POST" { try visit.recognisePosted() }
                return try await download.answer(visit)
            } catch {
                return Document(Content(failure: PageFailure(of: error)), visit).response()
            }
        }
    }

    private func act(_ request: HTTPRequest, _ action: Action) async -> HTTPResponse {
        guard Origin(request).isOwn else { return plain(.fromElsewhere, request) }
        switch door(request) {
        case .answer(let answer): return answer
        case .visit(let visit):
            do {
                try check(visit, action.needs)
                if visit.isQuestion { return Document(try await action.confirmation(visit), visit).response() }
                guard let form = visit.posted else {
                    throw PageFailure(
                        422, "The form cannot be read",
                        "It is not in the form that browsers send, or has too many fields.")
                }
                let outcome = try await visit.once(form) { try await action.perform(visit, form) }
                visit.tell(outcome.notice)
                let next = outcome.next ?? form["back"].flatMap(Link.init(local:)) ?? Link("/")
                return Self.redirect(to: next, visit)
            } catch let passage as Passage {
                return Self.redirect(to: passage.to, visit)
            } catch {
                return Document(Content(failure: PageFailure(of: error)), visit).response()
            }
        }
    }

    func check(_ visit: Visit, _ method: String) throws(PageFailure) {
        guard !visit.may(method) else { return }
        throw PageFailure(
            403, "You may not see this", "\(visit.caller.title) has no role for it, or is bound to some tenants or task groups.")
    }

    /// A page without navigation, for those who are not let in.
    func plain(_ failure: PageFailure, _ request: HTTPRequest) -> HTTPResponse {
        Document(plain: Content(failure: failure), theme: Cookies(request, isEncrypted: backend.isEncrypted).theme).response()
    }

    static func redirect(to link: Link, _ visit: Visit? = nil, cookies: [String] = []) -> HTTPResponse {
        var response = HTTPResponse(status: 303, headers: Security.headers + [("Location", link.text)], body: .bytes([]))
        for cookie in cookies + (visit?.newCookies ?? []) { response.headers.append(("Set-Cookie", cookie)) }
        return response
    }

    private func setTheme(_ request: HTTPRequest) -> HTTPResponse {
        guard Origin(request).isOwn else { return plain(.fromElsewhere, request) }
        let form = Form(request.body, type: request.header("Content-Type"))
        let theme = form?["theme"].flatMap(Theme.init) ?? .auto
        let cookie = Cookies(request, isEncrypted: backend.isEncrypted).setTheme(theme)
        return Self.redirect(to: form?["back"].flatMap(Link.init(local:)) ?? Link("/"), cookies: [cookie])
    }

    private func live(_ request: HTTPRequest) -> HTTPResponse {
        switch door(request) {
        case .answer: return .text("sign in\n", status: 401)
        case .visit(let visit):
            guard let topic = contents.topics.first(where: { $0.name == visit.part("topic") }) else {
                return .text("there is no such stream\n", status: 404)
            }
            guard visit.may(topic.needs) else { return .text("you may not see this\n", status: 403) }
            return hub.stream(topic, for: visit)
        }
    }
}

extension PageFailure {
    init(of error: any Error) {
        switch error {
        case let failure as PageFailure: self = failure
        case let failure as CallFailure: self.init(failure)
        default: self.init(500, "Something went wrong", "\(error)")
        }
    }

    static let openToThisMachine = PageFailure(
        403, "Not open to other machines",
        "This server asks nobody who they are, so its page is shown on the machine itself alone, at localhost. To open it to "
            + "others, start the server with --tokens-file or --auth-token-file: then people sign in with a token. Health and "
            + "metrics are not concerned.")
    static let noTokens = PageFailure(
        403, "Nobody can sign in",
        "This server knows its callers by their certificates alone, and its page knows people by tokens. Start it with "
            + "--tokens-file to let people sign in.")
}

extension Content {
    init(failure: PageFailure) {
        let way: HTML = failure.way.map { "<p><a class=\"button primary\" href=\"\($0.link)\">\($0.label)</a></p>" } ?? .empty
        self.init(
            failure.title, status: failure.status,
            """
            <section class="card narrow failure"><p class="code">\(failure.status)</p><p>\(failure.text)</p>\(way)</section>
            """)
    }
}

extension Visit {
    /// Cookies that the browser has to be told of.
    var newCookies: [String] {
        newSession.map { [cookies.setSession($0.id, seconds: site.sessions.seconds)] } ?? []
    }
}
