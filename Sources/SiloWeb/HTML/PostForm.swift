/// A form that changes something: it carries the token without which nothing is done, and which is taken once.
struct PostForm {
    private let token: String
    private let action: Link
    private let fields: [(String, String)]

    /// - Parameter path: of an `Action`.
    init(_ visit: Visit, _ path: String, fields: [(String, String)]) {
        token = visit.formToken
        action = Link(path)
        self.fields = fields
    }

    /// - Parameter content: its controls, a button among them.
    func html(_ content: HTML, class name: String = "inline") -> HTML {
        let hidden = fields.map { name, value -> HTML in "<input type=\"hidden\" name=\"\(name)\" value=\"\(value)\">" }
        return """
            <form method="post" action="\(action)" class="\(name)" autocomplete="off">\
            <input type="hidden" name="\(Form.tokenField)" value="\(token)">\(hidden)\(content)</form>
            """
    }
}
