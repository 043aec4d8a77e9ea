import Protobuf
import SiloCore

/// Checks the fields of one part of a request. What breaks a bound is refused with the field's name and the bound.
struct BoundCheck {
    private let path: String

    /// - Parameter path: of the part, as the schema names its fields.
    init(_ path: String) { self.path = path }

    func field(_ name: String) -> BoundCheck { BoundCheck("\(path).\(name)") }

    func refusal(_ what: String) -> SiloError { .outOfBounds(field: path, bound: what) }

    /// Of a limit.
    func key(_ text: String) throws(SiloError) {
        guard !text.isEmpty else { throw refusal("is required") }
        try Bounds.checkText(text, Bounds.limitKeyBytesMax, path)
    }

    func key(_ text: String, _ name: String) throws(SiloError) { try field(name).key(text) }

    func atLeastOne(_ number: Int64, _ name: String) throws(SiloError) {
        guard number >= 1 else { throw field(name).refusal("must be at least 1, not \(number)") }
    }

    /// - Parameter what: said before the bounds.
    func range(_ number: Int64, _ bounds: ClosedRange<Int64>, _ name: String, _ what: String = "") throws(SiloError) {
        guard bounds.contains(number) else {
            throw field(name).refusal("must be \(what)between \(bounds.lowerBound) and \(bounds.upperBound), not \(number)")
        }
    }

    func multiplier(_ number: Double, _ name: String) throws(SiloError) {
        guard number.isFinite, number >= 0 else {
            throw field(name).refusal("must be a finite number of at least 0, not \(number)")
        }
    }

    func metadata(_ entries: TextMap<String>) throws(SiloError) {
        try Bounds.checkMetadata(entries, "\(path) metadata")
    }
}
