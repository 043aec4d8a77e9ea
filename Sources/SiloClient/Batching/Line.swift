import SiloCore

/// What goes to one place: a call on its way, which holds the line, and items that wait for the next.
///
/// It decides and does nothing itself: `Gatherer` makes its calls.
struct Line<Item: Sendable>: Sendable {
    struct Call: Sendable {
        let number: Int
        let items: [Item]
    }
    private var waiting: [Item] = []
    private var holder: (number: Int, since: Timestamp)?
    private var isWatched = false

    /// Nothing is on its way and nothing waits.
    var isIdle: Bool { holder == nil && waiting.isEmpty && !isWatched }

    mutating func add(_ item: Item) { waiting.append(item) }

    /// The call to make now, which holds the line from then on; nil while another does, or when nothing waits.
    /// - Parameters:
    ///   - number: no other call's.
    ///   - isWanted: false for items that nobody waits for any more: these are left out.
    mutating func next(
        _ number: Int, at now: Timestamp, within bounds: CallBounds, weight: (Item) -> Int, isWanted: (Item) -> Bool
    ) -> Call? {
        guard holder == nil else { return nil }
        var items: [Item] = []
        var bytes = 0
        var passed = 0
        for item in waiting {
            if isWanted(item) {
                let weight = weight(item)
                guard bounds.hasRoom(for: weight, beside: items.count, bytes: bytes) else { break }
                bytes += weight
                items.append(item)
            }
            passed += 1
        }
        waiting.removeFirst(passed)
        guard !items.isEmpty else { return nil }
        holder = (number, now)
        return Call(number: number, items: items)
    }

    /// A call does not hold the line any more. Saying so again changes nothing.
    mutating func release(_ number: Int) {
        if holder?.number == number { holder = nil }
    }

    // MARK: Calls that take long

    /// Somebody must begin to look after the line: something waits, and nobody does yet.
    mutating func beginWatch() -> Bool {
        guard !isWatched, holder != nil, !waiting.isEmpty else { return false }
        isWatched = true
        return true
    }

    /// Lets the next call go beside one that holds the line for longer than `patience`.
    /// - Returns: when to look again; nil: never, until the next watch begins.
    mutating func watch(at now: Timestamp, patience: Int64) -> Timestamp? {
        guard let since = holder?.since, !waiting.isEmpty else {
            isWatched = false
            return nil
        }
        guard now - since >= patience else { return since + patience }
        holder = nil
        return now + patience
    }
}
