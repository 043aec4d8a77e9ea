extension Action {
    /// The page that says what it will do.
    func confirmation(_ visit: Visit) async throws -> Content {
        let asked = try await ask(visit, visit.asked)
        let back = visit.asked["back"].flatMap(Link.init(local:)) ?? Link("/")
        let kind: HTML = asked.isFinal ? "button danger" : "button primary"
        let controls: HTML = """
            \(asked.controls)<div class="buttons"><button class="\(kind)">\(asked.button)</button>\
            <a class="button" href="\(back)">Leave it as it is</a></div>
            """
        let form = PostForm(visit, path, fields: visit.asked.given).html(controls, class: "stack")
        let final: HTML = .when(asked.isFinal, "<p class=\"final\">This cannot be undone.</p>")
        return Content(
            asked.title,
            "<section class=\"card narrow confirm\"><div class=\"prose\">\(asked.text)</div>\(final)\(form)</section>")
    }
}
