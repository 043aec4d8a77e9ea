import Synchronization

/// Metrics of what callers give names to, such as task groups. Somebody else says which names have metrics of their own; all
/// others share one, so that nobody fills memory and the collector with names.
package final class NamedMetrics<Name: Hashable & Sendable, Value: Sendable>: Sendable {
    private struct State {
        var values: [Name: Value] = [:]
        var other: Value?
    }
    private let state = Mutex(State())
    private let others: Name
    private let isNamed: @Sendable (Name) -> Bool
    private let make: @Sendable (Name) -> Value
    private let add: @Sendable (Value, Value) -> Void

    /// - Parameters:
    ///   - others: stands in the label for all names without metrics of their own.
    ///   - isNamed: whether a name has its own. When it has them no more, `merge` is called.
    ///   - add: adds what the first counted to the second.
    package init(
        others: Name, isNamed: @escaping @Sendable (Name) -> Bool, make: @escaping @Sendable (Name) -> Value,
        add: @escaping @Sendable (_ value: Value, _ sum: Value) -> Void
    ) {
        self.others = others
        self.isNamed = isNamed
        self.make = make
        self.add = add
    }

    /// Counts something of a name, while nobody merges it.
    package func count(_ name: Name, _ count: (Value) -> Void) {
        state.withLock { state in count(value(of: name, in: &state)) }
    }

    /// A name has no metrics of its own any more. What they counted goes to the others'.
    package func merge(_ name: Name) {
        state.withLock { state in
            guard let value = state.values.removeValue(forKey: name) else { return }
            add(value, self.value(of: others, in: &state))
        }
    }

    package var all: [Value] {
        state.withLock { state in Array(state.values.values) + (state.other.map { [$0] } ?? []) }
    }

    private func value(of name: Name, in state: inout State) -> Value {
        if let value = state.values[name] { return value }
        guard name != others, isNamed(name) else {
            let value = state.other ?? make(others)
            state.other = value
            return value
        }
        let value = make(name)
        state.values[name] = value
        return value
    }
}
