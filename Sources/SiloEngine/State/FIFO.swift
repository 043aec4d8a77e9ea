/// A first-in, first-out list with constant-time ends.
struct FIFO<Element> {
    private var items: [Element?] = []
    private var head = 0

    var count: Int { items.count - head }
    var isEmpty: Bool { head == items.count }
    var first: Element? { isEmpty ? nil : items[head] }
    var last: Element? { isEmpty ? nil : items[items.count - 1] }

    func count(where matches: (Element) -> Bool) -> Int {
        items[head...].lazy.compactMap { $0 }.count { matches($0) }
    }

    func forEach(_ body: (Element) -> Void) { items[head...].lazy.compactMap { $0 }.forEach(body) }

    mutating func append(_ element: Element) {
        items.append(element)
    }

    /// Puts an element before all others.
    mutating func prepend(_ element: Element) {
        if head > 0 {
            head -= 1
            items[head] = element
        } else {
            items.insert(element, at: 0)
        }
    }

    mutating func popFirst() -> Element? {
        guard !isEmpty else { return nil }
        let element = items[head]
        items[head] = nil
        head += 1
        if head > 64, head * 2 > items.count {
            items.removeFirst(head)
            head = 0
        }
        return element
    }

    mutating func popLast() -> Element? {
        isEmpty ? nil : items.removeLast()
    }

    mutating func removeAll(where matches: (Element) -> Bool) {
        items = items[head...].filter { $0.map { !matches($0) } ?? false }
        head = 0
    }
}
