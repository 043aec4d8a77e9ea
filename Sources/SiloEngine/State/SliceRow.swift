import SiloCore
import SiloStore

/// The slices that hold anything, and what of that is to be written: opening reads those and no others.
struct SliceRow {
    private(set) var set: SliceSet
    private var isDirty = false

    init(_ set: SliceSet) {
        self.set = set
    }

    /// Nothing is left in the slice.
    mutating func forget(_ slice: Slice) {
        set.remove(slice)
        isDirty = true
    }

    /// The row to be written with a batch; nil when there is none.
    mutating func takeRow(with batch: [Write]) -> Write? {
        for write in batch where write.value != nil {
            guard let slice = Slice(of: write.key), !set.contains(slice) else { continue }
            set.insert(slice)
            isDirty = true
        }
        defer { isDirty = false }
        return isDirty ? Write(key: ShardKeys.slices, value: set.stored) : nil
    }
}
