import SiloCore

/// The entries of a batch: those that go to a shard, and what kept the others from it.
struct BatchPlan<Entry> {
    /// In the order of the batch.
    private(set) var accepted: [Entry] = []
    private(set) var order = BatchOrder()

    /// - Parameter check: makes what the shard gets, or refuses the entry.
    init<Asked>(_ batch: [Asked], _ check: (Asked) throws(SiloError) -> Entry) {
        accepted.reserveCapacity(batch.count)
        for asked in batch {
            do throws(SiloError) {
                accepted.append(try check(asked))
                order.accept()
            } catch {
                order.refuse(error)
            }
        }
    }

    /// What a batch that is all or nothing stores. Throws what refuses its first bad entry, and so all of it.
    /// - Parameter name: of the batch's field.
    func all(of name: String) throws(SiloError) -> [Entry] {
        guard let (place, refusal) = order.firstRefusal else { return accepted }
        throw .inBatch(entry: "\(name)[\(place)]", refusal)
    }
}

/// Which entries of a batch went to a shard.
struct BatchOrder: Sendable {
    private var count = 0
    /// What refused the others, by their place in the batch.
    private var refusals: [Int: SiloError] = [:]

    mutating func accept() { count += 1 }

    mutating func refuse(_ error: SiloError) {
        refusals[count] = error
        count += 1
    }

    var firstRefusal: (place: Int, error: SiloError)? {
        refusals.min { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// What came of each entry, in the order of the batch.
    /// - Parameter results: of the accepted ones, in their order.
    func merge<Answer>(_ results: [Result<Answer, SiloError>]) -> [Result<Answer, SiloError>] {
        guard !refusals.isEmpty else { return results }
        var rest = results[...]
        return (0..<count).map { place in
            if let refusal = refusals[place] { return .failure(refusal) }
            return rest.popFirst() ?? .failure(.failed("the shard gave no answer"))
        }
    }
}
