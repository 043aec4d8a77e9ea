import Protobuf
import SiloCore

/// Something that a visitor can do. `GET` of its path shows what it will do, with a button that does it; `POST` does it and goes
/// back to where the visitor came from, with a notice of what was done.
///
/// The fields say what it is done to; a field `back` says where to go on. Fields that may be too long for an address are sent by
/// `POST` with the token of questions, which shows the same as `GET`. To add one: write it beside the page that offers it, as
/// a `static let` of `Action`, and name it in `Site.Contents`.
struct Action: Sendable {
    /// Such as `/do/pause`.
    let path: String
    /// Who may not call this method may not do it.
    let needs: String
    let ask: @Sendable (Visit, Form) async throws -> Confirmation
    let perform: @Sendable (Visit, Form) async throws -> Outcome

    init<Request: Message, Answer: Message>(
        _ path: String, needs method: Method<Request, Answer>,
        ask: @escaping @Sendable (Visit, Form) async throws -> Confirmation,
        perform: @escaping @Sendable (Visit, Form) async throws -> Outcome
    ) {
        self.path = path
        needs = method.path
        self.ask = ask
        self.perform = perform
    }

    /// What an action will do, before it does.
    struct Confirmation: Sendable {
        /// A question, such as `Cancel this job?`.
        let title: String
        /// What will be different then.
        let text: HTML
        /// Such as `Cancel the job`.
        let button: String
        /// What takes long to find: the page is sent up to there at once. What it throws stands in its place, without a button.
        var finding: Finding?
        /// It cannot be undone.
        var isFinal = false
        /// More that the visitor may say: controls with names.
        var controls: HTML = .empty
    }

    struct Finding: Sendable {
        /// What stands there meanwhile.
        let meanwhile: HTML
        /// What was found, and what the button says then; nil: what it says anyway; empty: there is nothing to be done.
        let find: @Sendable () async throws -> (text: HTML, button: String?)
    }

    /// A hidden control: the id of what the action makes. A form that is sent again names the same, so that it is made once.
    static func newID(_ visit: Visit) -> HTML {
        FilterBar.hidden(newIDField, UUID.random(from: visit.site.backend.random).text)
    }
    static func newID(_ form: Form) -> String { form.last(newIDField) ?? "" }
    private static let newIDField = "new"

    struct Outcome: Sendable {
        let notice: Notice
        /// Where to go on; nil: where the visitor came from.
        var next: Link?
    }

    /// A way to the page that asks.
    func button(_ label: String, _ fields: [(String, String?)], from visit: Visit) -> HTML {
        guard visit.may(needs) else { return .empty }
        return "<a class=\"button\" href=\"\(Link(path, fields + [("back", visit.here.text)]))\">\(label)</a>"
    }
}
