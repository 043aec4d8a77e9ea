import Protobuf
import SiloCore

/// A page: where it is, who may see it, and what is on it.
///
/// To add one: write it in a file of `Pages`, as a `static let` of `Page`, and name it in `Site.Contents`. A page with a `menu`
/// title stands in the navigation of those who may see it.
struct Page: Sendable {
    /// Such as `/groups`; a part such as `:id` stands for any one part, which `Visit.part` gives.
    let path: String
    /// Its title in the navigation; nil: it is not in it.
    let menu: String?
    /// Who may not call this method may not see the page.
    let needs: String
    /// Of a form that asks for the page by POST, because it is too long for an address; 0: there is none.
    let formBytesMax: Int
    /// Who else may not see it, and has no entry in the navigation.
    let isFor: @Sendable (Caller) -> Bool
    let show: @Sendable (Visit) async throws -> Content

    init<Request: Message, Answer: Message>(
        _ path: String, menu: String? = nil, needs method: Method<Request, Answer>, formBytesMax: Int = 0,
        isFor: @escaping @Sendable (Caller) -> Bool = { _ in true },
        _ show: @escaping @Sendable (Visit) async throws -> Content
    ) {
        self.path = path
        self.menu = menu
        needs = method.path
        self.formBytesMax = formBytesMax
        self.isFor = isFor
        self.show = show
    }
}

/// What is on a page, between the head that all have and the foot.
struct Content: Sendable {
    let title: String
    /// A line below the title.
    var about: HTML = .empty
    /// Buttons beside the title.
    var actions: HTML = .empty
    let body: HTML
    /// The end of the body, where it takes long to find: the page is sent up to there at once, and goes on when it is known. It
    /// closes what the body leaves open. Its task is cancelled when the visitor has left.
    var rest: (@Sendable () async -> HTML)?
    /// What keeps it current; nil: it stays as it is.
    var live: LiveTopic?
    var status = 200

    init(
        _ title: String, about: HTML = .empty, actions: HTML = .empty, live: LiveTopic? = nil, status: Int = 200, _ body: HTML
    ) {
        self.title = title
        self.about = about
        self.actions = actions
        self.live = live
        self.status = status
        self.body = body
    }
}
