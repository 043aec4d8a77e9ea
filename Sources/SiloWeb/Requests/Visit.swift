import HTTPServer
import Protobuf
import SiloCore
import Synchronization

/// One request of somebody who was let in, with what a page needs to answer it.
final class Visit: Sendable {
    let request: HTTPRequest
    let caller: Caller
    let site: Site
    let cookies: Cookies
    /// The form that was sent by POST; nil: there is none, or it cannot be read.
    let posted: Form?
    /// Dates of this page are shown against it.
    let now: Timestamp
    /// Begun when first needed, where nobody signs in; and whether this visit did.
    private let session: Mutex<(session: Session?, isNew: Bool)>
    private let token = Mutex<String?>(nil)

    init(_ request: HTTPRequest, _ caller: Caller, _ session: Session?, _ cookies: Cookies, _ site: Site) {
        self.request = request
        self.caller = caller
        self.cookies = cookies
        self.site = site
        self.session = Mutex((session, false))
        posted = request.method == "POST" ? Form(request.body, type: request.header("Content-Type")) : nil
        now = site.backend.clock.now
    }

    // MARK: What was asked for

    var query: Form { Form(request.query) }

    /// The same, with the fields of a form that was sent by POST.
    var asked: Form { Form(query.fields + (posted?.fields ?? [])) }

    /// What stands in the place of the path's `:name`.
    func part(_ name: String) -> String { request.parameters[name] ?? "" }

    /// This page, with its query.
    var here: Link { Link(of: request.query, path: request.path) }

    // MARK: What it may do

    /// Whether to offer what calls a method.
    func may<Request: Message, Answer: Message>(_ method: Method<Request, Answer>) -> Bool { may(method.path) }
    func may(_ method: String) -> Bool { site.backend.may(caller, method) }

    /// Calls a method as the visitor.
    func call<Request: Message, Answer: Message>(
        _ method: Method<Request, Answer>, _ request: Request
    ) async throws(CallFailure) -> Answer {
        try await site.backend.call(method, request, as: caller, from: "http:\(self.request.address)")
    }

    // MARK: Forms and notices

    /// For the forms of this page: whichever is sent first is taken.
    var formToken: String {
        let session = begin()
        return token.withLock { token in
            if let token { return token }
            let new = site.sessions.secret()
            session.give(new)
            token = new
            return new
        }
    }

    /// For forms that only ask for something, and that may be sent as often as one likes.
    var questionToken: String { begin().question }

    func recognisePosted() throws(PageFailure) {
        guard isQuestion else { throw .stale }
    }

    /// A form that only asks was sent by POST, because it may be too long for an address.
    var isQuestion: Bool {
        guard let token = posted?[Form.tokenField], let session = currentSession else { return false }
        return token == session.question
    }

    /// Does what a form asks for, once. One that failed may be sent again.
    func once<Answer>(_ form: Form, _ body: () async throws -> Answer) async throws -> Answer {
        guard let token = form[Form.tokenField], let session = currentSession else { throw PageFailure.stale }
        switch session.take(token) {
        case .taken: break
        case .underWay: throw PageFailure.underWay
        case .usedBefore: throw PageFailure.usedBefore
        case .unknown: throw PageFailure.stale
        }
        do {
            let answer = try await body()
            session.end(token, isDone: true)
            return answer
        } catch {
            session.end(token, isDone: false)
            throw error
        }
    }

    /// For the next page that the visitor sees.
    func tell(_ notice: Notice) { begin().tell(notice) }
    /// A script that looks again at a part of its page shows none.
    func takeNotices() -> [Notice] { request.header("Silo-Refresh") == nil ? currentSession?.takeNotices() ?? [] : [] }

    var currentSession: Session? { session.withLock { $0.session } }
    /// Somebody signed in, who can sign out.
    var isSignedIn: Bool { currentSession?.token != nil }
    /// A session that the browser does not know yet.
    var newSession: Session? { session.withLock { $0.isNew ? $0.session : nil } }

    private func begin() -> Session {
        session.withLock { state in
            if let session = state.session { return session }
            let session = site.sessions.begin(nil)
            state = (session, true)
            return session
        }
    }
}
