import SiloAccess
import SiloCore
import Synchronization

/// Somebody's visit, from the first form or the sign-in on. What is in it ends with it, and with the server.
final class Session: Sendable {
    /// What became of a form that came in.
    enum Taking {
        case taken
        /// It came before, and is not answered yet.
        case underWay
        /// It came before: what it asked for has been done.
        case usedBefore
        /// The session has never given it out, or has forgotten it.
        case unknown
    }
    private struct State {
        /// In the order in which they were given out, each with what is answered to it now.
        var forms: [(token: String, next: Taking)] = []
        var notices: [Notice] = []
    }
    let id: String
    /// The token of forms that only ask for something, which may come as often as they like.
    let question: String
    /// Who it is, of which is asked anew each time; nil: nobody has to show who it is.
    let token: TokenHash?
    /// In steady time.
    let expiresAt: Timestamp
    private let state = Mutex(State())

    /// Forms that are open at once; of more, the oldest are stale.
    static let formsMax = 128
    private static let noticesMax = 8

    init(id: String, question: String, token: TokenHash?, expiresAt: Timestamp) {
        self.id = id
        self.question = question
        self.token = token
        self.expiresAt = expiresAt
    }

    func give(_ form: String) {
        state.withLock { state in
            if state.forms.count >= Self.formsMax { state.forms.removeFirst() }
            state.forms.append((form, .taken))
        }
    }

    /// A form's token is good once. Whoever takes it also ends it.
    func take(_ form: String) -> Taking {
        state.withLock { state in
            guard let index = state.forms.firstIndex(where: { $0.token == form }) else { return .unknown }
            defer { if state.forms[index].next == .taken { state.forms[index].next = .underWay } }
            return state.forms[index].next
        }
    }

    /// - Parameter isDone: false: it may be taken again.
    func end(_ form: String, isDone: Bool) {
        state.withLock { state in
            guard let index = state.forms.firstIndex(where: { $0.token == form }) else { return }
            state.forms[index].next = isDone ? .usedBefore : .taken
        }
    }

    /// For the next page that is shown.
    func tell(_ notice: Notice) {
        state.withLock { state in
            if state.notices.count >= Self.noticesMax { state.notices.removeFirst() }
            state.notices.append(notice)
        }
    }

    func takeNotices() -> [Notice] {
        state.withLock { state in
            defer { state.notices = [] }
            return state.notices
        }
    }
}
