/// Makes a change from beside a database's writer.
///
/// Each part of SlateDB that is opened reads the clock anew and counts from there, so two parts of one process differ by the time
/// that passed within that reading: what one has just stamped may lie some milliseconds ahead of the other, which then refuses.
/// Waiting for as long is enough (seen with SlateDB 0.17).
func changing<T>(_ body: () async throws -> T) async throws(StorageError) -> T {
    for _ in 0..<5 {
        do throws(StorageError) {
            return try await lifting(body)
        } catch {
            // More than that is the machine's clock.
            guard case .clockBehind(let lag) = error, lag.milliseconds <= 1000 else { throw error }
            // Whoever asked may not wait any more.
            guard (try? await Task.sleep(for: .milliseconds(lag.milliseconds + 1))) != nil else { throw error }
        }
    }
    return try await lifting(body)
}
