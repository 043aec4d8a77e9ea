extension Action {
    /// The page that says what it will do.
    func confirmation(_ visit: Visit) async throws -> Content {
        let asked = try await ask(visit, visit.asked)
        let back = visit.asked["back"].flatMap(Link.init(local:)) ?? Link("/")
        // It takes its token, with which a session may begin, before the page is sent.
        let form = PostForm(visit, path, fields: visit.asked.given)
        @Sendable func question(_ button: String) -> HTML {
            let kind: HTML = asked.isFinal ? "button danger" : "button primary"
            let controls: HTML = """
                \(asked.controls)<div class="buttons"><button class="\(kind)">\(button)</button>\
                <a class="button" href="\(back)">Leave it as it is</a></div>
                """
            let final: HTML = .when(asked.isFinal, "<p class=\"final\">This cannot be undone.</p>")
            return "\(final)\(form.html(controls, class: "stack"))</section>"
        }
        let start: HTML = "<section class=\"card narrow confirm\"><div class=\"prose\">\(asked.text)</div>"
        guard let finding = asked.finding else { return Content(asked.title, start + question(asked.button)) }
        // The style hides its first part once the second is there.
        var content = Content(asked.title, "\(start)<div class=\"prose found\"><p class=\"hint\">\(finding.meanwhile)</p>")
        let leave: HTML = "<div class=\"buttons\"><a class=\"button\" href=\"\(back)\">Leave it as it is</a></div></section>"
        content.rest = {
            do {
                let found = try await finding.find()
                return "<div>\(found.text)</div></div>\(found.button == "" ? leave : question(found.button ?? asked.button))"
            } catch {
                let failure = PageFailure(of: error)
                return """
                    <div><p class="final">\(failure.title)</p><p>\(failure.text)</p></div></div>\(leave)
                    """
            }
        }
        return content
    }
}
