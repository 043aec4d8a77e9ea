import Synchronization

/// Metrics of what callers give names to, such as task groups. So many names have metrics of their own; all that come later share
/// one, so that nobody fills memory and the collector with names.
package final class NamedMetrics<Value: Sendable>: Sendable {
    private struct State {
        var values: [String: Value] = [:]
        var other: Value?
    }
    private let state = Mutex(State())
    private let namesMax: Int
    private let make: @Sendable (String) -> Value

    /// What stands in the label for all names past the bound.
    package static var otherName: String { "other" }

    package init(namesMax: Int, make: @escaping @Sendable (String) -> Value) {
        self.namesMax = namesMax
        self.make = make
    }

    /// Not for what happens often: look it up once.
    package subscript(name: String) -> Value {
        state.withLock { state in
            if let value = state.values[name] { return value }
            guard state.values.count >= namesMax || name == Self.otherName else {
                let value = make(name)
                state.values[name] = value
                return value
            }
            let value = state.other ?? make(Self.otherName)
            state.other = value
            return value
        }
    }

    package var all: [Value] {
        state.withLock { state in Array(state.values.values) + (state.other.map { [$0] } ?? []) }
    }
}
