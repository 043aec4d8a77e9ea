import Synchronization

/// Metrics of what callers give names to, such as task groups. Somebody else says which names have metrics of their own; all
/// others share one, so that nobody fills memory and the collector with names.
package final class NamedMetrics<Value: Sendable>: Sendable {
    private struct State {
        var values: [String: Value] = [:]
        var other: Value?
    }
    private let state = Mutex(State())
    private let isNamed: @Sendable (String) -> Bool
    private let make: @Sendable (String) -> Value
    private let add: @Sendable (Value, Value) -> Void

    /// What stands in the label for all names without metrics of their own.
    package static var otherName: String { "other" }

    /// - Parameters:
    ///   - isNamed: whether a name has its own. When it has them no more, `merge` is called.
    ///   - add: adds what the first counted to the second.
    package init(
        isNamed: @escaping @Sendable (String) -> Bool, make: @escaping @Sendable (String) -> Value,
        add: @escaping @Sendable (_ value: Value, _ sum: Value) -> Void
    ) {
        self.isNamed = isNamed
        self.make = make
        self.add = add
    }

    /// Counts something of a name, while nobody merges it.
    package func count(_ name: String, _ count: (Value) -> Void) {
        state.withLock { state in count(value(of: name, in: &state)) }
    }

    /// A name has no metrics of its own any more. What they counted goes to the others'.
    package func merge(_ name: String) {
        state.withLock { state in
            guard let value = state.values.removeValue(forKey: name) else { return }
            add(value, self.value(of: Self.otherName, in: &state))
        }
    }

    package var all: [Value] {
        state.withLock { state in Array(state.values.values) + (state.other.map { [$0] } ?? []) }
    }

    private func value(of name: String, in state: inout State) -> Value {
        if let value = state.values[name] { return value }
        guard name != Self.otherName, isNamed(name) else {
            let value = state.other ?? make(Self.otherName)
            state.other = value
            return value
        }
        let value = make(name)
        state.values[name] = value
        return value
    }
}
