import Synchronization

/// Collects values from any thread, and lets a test wait for them.
public final class Box<Value: Sendable>: Sendable {
    private let items = Mutex<[Value]>([])
    /// Raised after each value; may be one that others raise too.
    public let changes: Signal

    public init(changes: Signal = Signal()) { self.changes = changes }

    public func add(_ value: Value) {
        items.withLock { $0.append(value) }
        changes.raise()
    }

    public var all: [Value] { items.withLock { $0 } }
    public var count: Int { items.withLock { $0.count } }

    /// Returns once there are at least `count` values.
    public func until(_ count: Int) async throws {
        try await changes.wait(for: "\(count) values, not \(all)") { self.count >= count }
    }

    /// Returns once the values are such.
    public func until(_ condition: ([Value]) -> Bool) async throws {
        try await changes.wait(for: "other values than \(all)") { condition(all) }
    }
}

/// A number that any thread changes, and that a test can wait for.
public final class Tally: Sendable {
    private let number = Atomic(0)
    public let changes: Signal

    public init(changes: Signal = Signal()) { self.changes = changes }

    public var value: Int { number.load(ordering: .sequentiallyConsistent) }

    /// - Returns: the number after it.
    @discardableResult
    public func add(_ amount: Int = 1) -> Int {
        let value = number.add(amount, ordering: .sequentiallyConsistent).newValue
        changes.raise()
        return value
    }

    /// Returns once the number is at least this.
    public func until(_ least: Int) async throws {
        try await changes.wait(for: "\(least), not \(value)") { value >= least }
    }
}
