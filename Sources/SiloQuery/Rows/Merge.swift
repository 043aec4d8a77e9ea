/// Pages of several sources, each of which gives its rows in one order, as rows in that order.
struct Merge<Element> {
    private let precedes: (Element, Element) -> Bool
    /// What each source has given and is not handed on.
    private var heads: [Int: ArraySlice<Element>] = [:]
    /// The sources by their next rows, the first one last.
    private var order: [Int] = []

    init(by precedes: @escaping (Element, Element) -> Bool) { self.precedes = precedes }

    /// - Parameter source: it has nothing here.
    mutating func add(_ page: [Element], of source: Int) {
        guard !page.isEmpty else { return }
        heads[source] = page[...]
        insert(source)
    }

    /// Rows up to the end of some source's page, and whose that was: it is to be added to before there are more.
    mutating func rows() -> (rows: [Element], emptied: Int?) {
        var rows: [Element] = []
        while let source = order.popLast(), let row = heads[source]?.popFirst() {
            rows.append(row)
            if heads[source]?.isEmpty ?? true { return (rows, source) }
            insert(source)
        }
        return (rows, nil)
    }

    private mutating func insert(_ source: Int) {
        guard let row = heads[source]?.first else { return }
        var (low, high) = (0, order.count)
        while low < high {
            let middle = (low + high) / 2
            if let other = heads[order[middle]]?.first, precedes(row, other) { low = middle + 1 } else { high = middle }
        }
        order.insert(source, at: low)
    }
}
