/// How much goes in one call.
struct CallBounds: Sendable {
    let countMax: Int
    /// Of the items' weights. An item that weighs more goes alone, so that a server that refuses it refuses no other.
    let bytesMax: Int

    /// How many items go in one call, from the first on: at least one.
    func count(of weights: some Sequence<Int>) -> Int {
        var bytes = 0
        var count = 0
        for weight in weights.prefix(countMax) {
            guard count == 0 || bytes + weight <= bytesMax else { break }
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
