import Synchronization

/// Bytes that several parts of a process may hold together.
public final class MemoryBudget: Sendable {
    public let bytesMax: Int
    private let taken = Atomic(0)

    public init(_ bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    /// Bytes that are held now.
    public var held: Int { taken.load(ordering: .relaxed) }

    /// Takes bytes while they fit; false when they do not.
    /// - Parameter atLeastOne: takes them in any case: whoever holds nothing yet gets somewhere.
    public func take(_ bytes: Int, atLeastOne: Bool = false) -> Bool {
        let (_, sum) = taken.add(bytes, ordering: .relaxed)
        guard sum > bytesMax, !atLeastOne else { return true }
        taken.subtract(bytes, ordering: .relaxed)
        return false
    }

    public func give(_ bytes: Int) { taken.subtract(bytes, ordering: .relaxed) }

    /// Takes or gives bytes, past the bound if need be.
    public func change(by bytes: Int) { taken.add(bytes, ordering: .relaxed) }

    public var isOver: Bool { held > bytesMax }
}
