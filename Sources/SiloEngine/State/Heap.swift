/// A binary heap: the least element first.
struct Heap<Element: Comparable> {
    private var elements: [Element] = []

    var first: Element? { elements.first }
    var count: Int { elements.count }
    /// In no order.
    var all: [Element] { elements }

    mutating func insert(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard elements[child] < elements[parent] else { return }
            elements.swapAt(child, parent)
            child = parent
        }
    }

    @discardableResult
    mutating func popFirst() -> Element? {
        guard let last = elements.popLast() else { return nil }
        guard let first = elements.first else { return last }
        elements[0] = last
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count && elements[child] < elements[least] {
                least = child
            }
            guard least != parent else { return first }
            elements.swapAt(parent, least)
            parent = least
        }
    }

    /// Shows the elements in order, until `body` says false: costs as many steps as it shows, and takes none out.
    func forEachInOrder(_ body: (Element) -> Bool) {
        var next = Heap<Indexed>()
        if let first { next.insert(Indexed(element: first, index: 0)) }
        while let least = next.popFirst(), body(least.element) {
            for child in [2 * least.index + 1, 2 * least.index + 2] where child < elements.count {
                next.insert(Indexed(element: elements[child], index: child))
            }
        }
    }

    private struct Indexed: Comparable {
        let element: Element
        let index: Int
        static func < (left: Indexed, right: Indexed) -> Bool { left.element < right.element }
        static func == (left: Indexed, right: Indexed) -> Bool { left.index == right.index }
    }

    /// Keeps some of the elements.
    mutating func filter(_ isKept: (Element) -> Bool) {
        let kept = elements.filter(isKept)
        elements = []
        for element in kept { insert(element) }
    }
}

extension Heap: Sendable where Element: Sendable {}
