/// A sorted set in pieces of bounded size: finding an element takes O(log n) steps, adding or taking one away moves a piece at
/// most.
struct SortedSet<Element: Comparable> {
    /// Ascending, none of them empty.
    private var pieces: [[Element]] = []
    private(set) var count = 0
    private let pieceMax: Int

    init(pieceMax: Int = 256) {
        self.pieceMax = pieceMax
    }

    var first: Element? { pieces.first?.first }

    /// No effect where it stands already.
    mutating func insert(_ element: Element) {
        guard let piece = piece(for: element) else {
            pieces = [[element]]
            count = 1
            return
        }
        let index = pieces[piece].partition { $0 < element }
        guard index == pieces[piece].count || pieces[piece][index] != element else { return }
        pieces[piece].insert(element, at: index)
        count += 1
        guard pieces[piece].count > pieceMax else { return }
        let half = Array(pieces[piece].suffix(pieceMax / 2))
        pieces[piece].removeLast(half.count)
        pieces.insert(half, at: piece + 1)
    }

    mutating func remove(_ element: Element) {
        guard let piece = piece(for: element) else { return }
        let index = pieces[piece].partition { $0 < element }
        guard index < pieces[piece].count, pieces[piece][index] == element else { return }
        pieces[piece].remove(at: index)
        count -= 1
        if pieces[piece].isEmpty { pieces.remove(at: piece) } else { join(piece) }
    }

    /// Shows the elements after one, which need not be there, in order, until `body` says false.
    func forEach(after element: Element, _ body: (Element) -> Bool) { forEach(behind: { $0 <= element }, body) }

    /// Shows the elements behind those that `isPassed`, which stand before all others, in order, until `body` says false.
    func forEach(behind isPassed: (Element) -> Bool, _ body: (Element) -> Bool) {
        guard !pieces.isEmpty else { return }
        let first = max(0, pieces.partition { isPassed($0[0]) } - 1)
        var index = pieces[first].partition(isPassed)
        for piece in pieces[first...] {
            for next in piece[index...] { guard body(next) else { return } }
            index = 0
        }
    }

    /// The last piece that begins at or before an element, or else the first; nil when there is none.
    private func piece(for element: Element) -> Int? {
        pieces.isEmpty ? nil : max(0, pieces.partition { $0[0] <= element } - 1)
    }

    /// With a neighbour, where both together are small: a set that shrinks does not keep a piece for each element.
    private mutating func join(_ piece: Int) {
        for left in [piece - 1, piece] where left >= 0 && left + 1 < pieces.count {
            guard pieces[left].count + pieces[left + 1].count <= pieceMax / 2 else { continue }
            let right = pieces.remove(at: left + 1)
            return pieces[left].append(contentsOf: right)
        }
    }
}

extension RandomAccessCollection where Index == Int {
    /// The index of the first element that is not in the first part; `endIndex` when all are. That part stands before the rest.
    func partition(_ isInFirstPart: (Element) -> Bool) -> Int {
        var low = startIndex
        var high = endIndex
        while low < high {
            let middle = low + (high - low) / 2
            if isInFirstPart(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
