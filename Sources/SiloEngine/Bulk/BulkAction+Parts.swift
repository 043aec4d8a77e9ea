import Protobuf
import SiloCore
import SiloStore

// A shard is cut in two, or joined to its neighbour, while actions go on: each part does what is left of its own slices.

extension StorageV1.BulkAction {
    /// What of it goes with some slices. One that has ended goes with all, so that each part knows its id.
    /// - Parameter keepsCounts: it is this part that says what was done so far, so that a sum over all parts stays right.
    func part(of slices: ClosedRange<Slice>, keepsCounts: Bool) -> StorageV1.BulkAction {
        let range = Slice.rows(of: slices)
        var part = self
        part.left = left.compactMap { span in
            var own = span
            if own.from.lexicographicallyPrecedes(range.start) { own.from = range.start }
            if range.end.lexicographicallyPrecedes(own.to) { own.to = range.end }
            return own.from.lexicographicallyPrecedes(own.to) ? own : nil
        }
        if !keepsCounts { (part.expected, part.lookedAt, part.done, part.refusals) = (0, 0, 0, []) }
        return part
    }

    /// What both do, for the shard that takes the place of two. Where only one has ended, how it did is told when both have.
    func joined(_ other: StorageV1.BulkAction) -> StorageV1.BulkAction {
        var both = goesOn || !other.goesOn ? self : other
        let worse = worstEnd.rawValue < other.worstEnd.rawValue ? other : self
        if both.goesOn {
            (both.partEnd, both.partError) = (worse.worstEnd, worse.worstError)
        } else {
            (both.end, both.error, both.endedAtMs) = (worse.end, worse.error, max(endedAtMs, other.endedAtMs))
        }
        // In a shard of several tenants, each part is about those that it has.
        both.scope = scope.union(other.scope)
        both.left = (left + other.left).sorted { $0.from.lexicographicallyPrecedes($1.from) }
        both.expected = expected + other.expected
        both.lookedAt = lookedAt + other.lookedAt
        both.done = done + other.done
        both.refusals = refusals
        for refusal in other.refusals {
            guard let index = both.refusals.firstIndex(where: { $0.reason == refusal.reason }) else {
                both.refusals.append(refusal)
                continue
            }
            both.refusals[index].count += refusal.count
        }
        return both
    }

    /// How it ended, or a part of it. Ends are numbered from the best to the worst.
    private var worstEnd: StorageV1.BulkEnd { goesOn ? partEnd : end }
    private var worstError: String { goesOn ? partError : error }
}
