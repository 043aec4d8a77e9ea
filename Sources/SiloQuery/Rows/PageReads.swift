import Dispatch
import SiloCore
import SiloStore
import Synchronization

/// Reads pages of several sources side by side, for a statement's thread, which alone waits for them.
final class PageReads<Element: Sendable> {
    private typealias Outcome = Result<[Element]?, StoreError>
    private final class Arrivals: Sendable {
        let outcomes = Mutex<[(source: Int, outcome: Outcome)]>([])
        let bell = DispatchSemaphore(value: 0)
    }
    private let scans: [ShardScan<Element>]
    private let run: StatementRun
    private let arrivals = Arrivals()
    /// Since when each read is under way, of those that are still waited for.
    private var begun: [Int: Timestamp] = [:]

    private static var lookMilliseconds: Int { 20 }

    init(_ scans: [ShardScan<Element>], _ run: StatementRun) {
        self.scans = scans
        self.run = run
    }

    var count: Int { begun.count }

    func begin(_ source: Int) {
        begun[source] = run.control.clock.steady
        let (scan, arrivals) = (scans[source], arrivals)
        // Ends with the page.
        Task(executorPreference: QueryThreads.shared) {
            let outcome: Outcome
            do throws(StoreError) { outcome = .success(try await scan.pages.next()) } catch { outcome = .failure(error) }
            arrivals.outcomes.withLock { $0.append((source, outcome)) }
            arrivals.bell.signal()
        }
    }

    /// Waits for the first page that comes; nil in the place of one: its source has no more.
    func next() throws(QueryError) -> (source: Int, page: [Element]?) {
        while true {
            guard arrivals.bell.wait(timeout: .now() + .milliseconds(Self.lookMilliseconds)) == .success else {
                if let end = run.control.end { throw end.waiting(for: ids(Array(begun.keys))) }
                if let source = givenUp() { return (source, nil) }
                continue
            }
            guard let (source, outcome) = arrivals.outcomes.withLock({ $0.isEmpty ? nil : $0.removeFirst() }),
                begun.removeValue(forKey: source) != nil
            else { continue }
            // It may be over since somebody looked.
            if let end = run.control.end { throw end.waiting(for: ids(begun.keys + [source])) }
            switch outcome {
            case .success(let page): return (source, page)
            case .failure(let error):
                try run.miss(scans[source].id, .store(error, of: scans[source].id))
                return (source, nil)
            }
        }
    }

    private func ids(_ sources: [Int]) -> [ShardID] { sources.sorted().map { scans[$0].id } }

    /// A source whose shard has not answered for longer than a partial result waits.
    private func givenUp() -> Int? {
        guard let patience = run.patienceMilliseconds else { return nil }
        let now = run.control.clock.steady
        guard let (source, _) = begun.first(where: { now - $0.value >= patience }) else { return nil }
        begun[source] = nil
        let id = scans[source].id
        run.missing[id] = .unanswered(patience, of: id)
        return source
    }
}

extension QueryError {
    /// Says whom it waited for, if its time is over.
    fileprivate func waiting(for shards: [ShardID]) -> QueryError {
        if case .timeout(let milliseconds, _) = self { .timeout(milliseconds, waitingFor: shards) } else { self }
    }
}
