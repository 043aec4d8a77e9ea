/// How much goes in one call.
struct CallBounds: Sendable {
    let countMax: Int
    /// Of the items' weights. An item that weighs more goes alone, so that a server that refuses it refuses no other.
    let bytesMax: Int

    /// A call has room for one more item. Any item has room in an empty one.
    func hasRoom(for weight: Int, beside count: Int, bytes: Int) -> Bool {
        count == 0 || (count < countMax && bytes + weight <= bytesMax)
    }

    /// How many items go in one call, from the first on: at least one.
    func count(of weights: some Sequence<Int>) -> Int {
        var bytes = 0
        var count = 0
        for weight in weights {
            guard hasRoom(for: weight, beside: count, bytes: bytes) else { break }
            bytes += weight
            count += 1
        }
        return count
    }

    /// Parts that go in one call each, in their order.
    func parts<Item>(of items: [Item], weight: (Item) -> Int) -> [ArraySlice<Item>] {
        var parts: [ArraySlice<Item>] = []
        var rest = items[...]
        while !rest.isEmpty {
            let count = count(of: rest.lazy.map(weight))
            parts.append(rest.prefix(count))
            rest = rest.dropFirst(count)
        }
        return parts
    }
}
