/// Something that has a row of its own, which may be behind what memory says.
protocol RowOwner: AnyObject {
    /// It stands in a list of dirty rows.
    var isDirty: Bool { get set }
}

/// Whose rows are behind memory: each once, in the order in which they came to be.
struct DirtyRows<Owner: RowOwner> {
    private var owners: [Owner] = []

    mutating func mark(_ owner: Owner) {
        guard !owner.isDirty else { return }
        owner.isDirty = true
        owners.append(owner)
    }

    /// Their rows are written now.
    mutating func takeAll(_ write: (Owner) -> Void) {
        for owner in owners {
            owner.isDirty = false
            write(owner)
        }
        owners.removeAll(keepingCapacity: true)
    }
}
