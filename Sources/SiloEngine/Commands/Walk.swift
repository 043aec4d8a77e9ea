/// A question about very many things that memory holds. It looks at some of them in a turn of the loop, and goes on in the next,
/// behind whatever came meanwhile: so its answer is of no one moment.
package protocol Walk: Sendable {
    associatedtype Answer: Sendable

    /// Looks at the next things, `countMax` at most.
    /// - Returns: nil: there are more.
    mutating func step(_ view: View, countMax: Int) -> Answer?
}
