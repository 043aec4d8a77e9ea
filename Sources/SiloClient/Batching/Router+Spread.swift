import GRPC

extension Router {
    /// Shards that are sent to at once.
    private static let shardsAtOnceMax = 8
    /// How often the shards of the last tenants are found out.
    private static let roundsMax = 8

    /// Sends the items of any tenants: one call after another to each shard, the shards side by side.
    /// - Parameters:
    ///   - send: one call: an answer for each of its items.
    ///   - unsent: the answer of an item whose shard nobody serves.
    /// - Returns: in the items' order.
    func spread<Item: Sendable, Answer: Sendable>(
        _ items: [Item], within bounds: CallBounds, tenant: (Item) -> String?, weight: @Sendable (Item) -> Int,
        unsent: (Item, Status) -> Answer, send: @escaping @Sendable (_ items: [Item], _ shard: Target) async -> [Answer]
    ) async -> [Answer] {
        var answers = [Answer?](repeating: nil, count: items.count)
        var left = Array(items.indices)
        var failure = Status(.unavailable, "nobody serves the shards of some tenants")
        for _ in 0..<Self.roundsMax where !left.isEmpty {
            var shards = Dictionary(grouping: left) { knownShard(of: tenant(items[$0])) }
            left = shards.removeValue(forKey: nil) ?? []
            let lists = shards.sorted { ($0.value.first ?? 0) < ($1.value.first ?? 0) }.map { shard, places in
                (Target.shard(shard ?? ""), bounds.parts(of: places) { weight(items[$0]) })
            }
            for (place, answer) in await sendSideBySide(lists, items, send) { answers[place] = answer }
            guard let first = left.first else { break }
            // Until somebody serves one of them.
            do throws(Status) { try await run(.tenant(named: tenant(items[first]))) { _, _, _ in } } catch {
                failure = error
                break
            }
        }
        return zip(items, answers).map { item, answer in answer ?? unsent(item, failure) }
    }

    private func sendSideBySide<Item: Sendable, Answer: Sendable>(
        _ lists: [(shard: Target, parts: [ArraySlice<Int>])], _ items: [Item],
        _ send: @escaping @Sendable (_ items: [Item], _ shard: Target) async -> [Answer]
    ) async -> [(place: Int, answer: Answer)] {
        await withTaskGroup(of: [(place: Int, answer: Answer)].self) { group in
            var rest = lists[...]
            func startNext() {
                guard let list = rest.popFirst() else { return }
                group.addTask {
                    var answers: [(place: Int, answer: Answer)] = []
                    for part in list.parts {
                        answers += zip(part, await send(part.map { items[$0] }, list.shard)).map { ($0, $1) }
                    }
                    return answers
                }
            }
            for _ in 0..<Self.shardsAtOnceMax { startNext() }
            var answers: [(place: Int, answer: Answer)] = []
            while let next = await group.next() {
                answers += next
                startNext()
            }
            return answers
        }
    }
}
