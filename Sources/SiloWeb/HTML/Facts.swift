/// Names and values of one thing, side by side.
struct Facts {
    private let facts: [(HTML, HTML)]

    init(_ facts: [(HTML, HTML)]) { self.facts = facts }

    var html: HTML {
        let rows = facts.map { name, value -> HTML in "<div><dt>\(name)</dt><dd>\(value)</dd></div>" }
        return "<dl class=\"facts\">\(rows)</dl>"
    }
}
