/// What a visitor is told at the top of the page that follows: what an action did.
struct Notice: Sendable {
    enum Kind: String, Sendable {
        case done, trouble
    }
    /// The way back.
    struct Undo: Sendable {
        /// The action that undoes it.
        let path: String
        let fields: [(String, String)]
        var label = "Undo"
    }
    let kind: Kind
    let text: HTML
    var undo: Undo?

    init(_ kind: Kind, _ text: HTML, undo: Undo? = nil) {
        self.kind = kind
        self.text = text
        self.undo = undo
    }

    func html(_ visit: Visit) -> HTML {
        let undo: HTML = undo.map { undo in
            let form = PostForm(visit, undo.path, fields: undo.fields + [("back", visit.here.text)])
            return form.html("<button class=\"button\">\(undo.label)</button>")
        } ?? .empty
        return "<div class=\"notice \(kind.rawValue)\" role=\"status\"><p>\(text)</p>\(undo)</div>"
    }
}
