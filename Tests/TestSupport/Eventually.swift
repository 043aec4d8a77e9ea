/// Asks again and again, for what gives no signal: a process or a library of somebody else. The only place where a test sleeps.
/// - Throws: `NeverHappened` after `limit`.
public func eventually(
    _ what: @autoclosure () -> String, within limit: Duration = .seconds(300), isolation: isolated (any Actor)? = #isolation,
    _ condition: () async throws -> Bool
) async throws {
    let end = ContinuousClock.now + limit
    while try await !condition() {
        guard ContinuousClock.now < end else { throw NeverHappened(what: what()) }
        try await Task.sleep(for: .milliseconds(10))
    }
}
