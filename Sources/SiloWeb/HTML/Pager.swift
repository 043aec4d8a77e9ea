/// The way through a long list by keys: to what follows the last row that is shown, and back to the beginning. It costs the same
/// on every page, however long the list is.
struct Pager {
    /// The page without a cursor; nil on the first one.
    let first: Link?
    /// Nil on the last page.
    let next: Link?
    /// What is shown, such as `50 jobs`.
    let shown: String

    var html: HTML {
        let first: HTML = first.map { "<a class=\"button\" rel=\"first\" href=\"\($0)\">First page</a>" } ?? .empty
        let next: HTML = next.map { "<a class=\"button\" rel=\"next\" href=\"\($0)\">Next page</a>" } ?? .empty
        return "<nav class=\"pager\" aria-label=\"More of the list\"><span>\(shown)</span>\(first)\(next)</nav>"
    }
}
