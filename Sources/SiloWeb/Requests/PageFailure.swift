/// Why a page is not shown, or an action not done, in words for the visitor.
struct PageFailure: Error {
    let status: Int
    let title: String
    let text: String
    /// Where to go on.
    var way: (label: String, link: Link)?

    init(_ status: Int, _ title: String, _ text: String, way: (label: String, link: Link)? = nil) {
        self.status = status
        self.title = title
        self.text = text
        self.way = way
    }

    init(_ failure: CallFailure) {
        let sentence = failure.text.prefix(1).uppercased() + failure.text.dropFirst() + "."
        switch failure.kind {
        case .invalid: self.init(400, "This cannot be asked like that", sentence)
        case .denied: self.init(403, "You may not do this", sentence)
        case .notFound: self.init(404, "Not found", sentence)
        case .exists, .refused: self.init(409, "Not possible now", sentence)
        case .busy: self.init(429, "Too much at once", sentence)
        case .unavailable: self.init(503, "Not available now", sentence)
        case .failed: self.init(500, "Something went wrong", sentence)
        }
    }

    static func notFound(_ path: String) -> PageFailure {
        PageFailure(
            404, "There is no such page", "Nothing is at \(Name.visible(String(path.prefix(200)))).",
            way: ("Go to the overview", Link("/")))
    }

    static let needsSignIn = PageFailure(
        401, "Your session has ended", "Nothing was done. Sign in, and do it again.", way: ("Sign in", Link("/login")))
    static let fromElsewhere = PageFailure(
        403, "This did not come from a page of this site",
        "Changes are taken only from forms of this server's own pages. Nothing was done. If a proxy stands before the server, "
            + "it must leave the Host header as it is.")
    static let stale = PageFailure(
        409, "This form is out of date",
        "It was open for too long, or the server was restarted meanwhile. Nothing was done: go back, load the page anew, and do "
            + "it again.")
    static let underWay = PageFailure(
        409, "This is being done",
        "The same form came twice; the second time nothing was done. Go back, and load the page anew to see what became of the "
            + "first.")
    static let usedBefore = PageFailure(
        409, "This was done already", "The same form came twice; the second time nothing was done.")
}
