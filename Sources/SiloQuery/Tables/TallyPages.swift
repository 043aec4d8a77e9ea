import SiloCore
import SiloStore
import Synchronization

/// Tallies of the jobs of a scan of one shard, of some pages of jobs at a time. Parts of the shard are read side by side.
///
/// `@unchecked Sendable`: one task at a time reads.
final class TallyPages: PageSource, @unchecked Sendable {
    private let scan: JobScan
    private let wants: JobTallies.Wants
    private let lanes: [Lane]
    private let parts = PartsLeft()
    private var isBegun = false

    /// How many parts are read at once.
    static let sideBySide = 2

    /// - Parameter shards: the shard, for each that reads it.
    init(_ scan: JobScan, _ wants: JobTallies.Wants, _ shards: [ScannedShard]) {
        self.scan = scan
        self.wants = wants
        lanes = shards.map { Lane($0) }
    }

    func next() async throws(StoreError) -> [JobTally]? {
        guard let first = lanes.first else { return nil }
        if case .nothing = scan.way { return nil }
        if !isBegun {
            isBegun = true
            parts.begin(try await Part.all(of: first.shard, scan.tenants))
        }
        let reading = lanes.filter(\.isReading)
        // With one part left there is nothing to share.
        let isShared = reading.count + parts.count > 1
        let rows = isShared ? try await together() : try await (reading.first ?? first).tallies(scan, wants, parts)
        return rows.isEmpty ? nil : rows
    }

    private func together() async throws(StoreError) -> [JobTally] {
        let results = await withTaskGroup(of: Result<[JobTally], StoreError>.self) { [scan, wants, parts, lanes] group in
            for lane in lanes {
                group.addTask {
                    do throws(StoreError) { return .success(try await lane.tallies(scan, wants, parts)) } catch {
                        return .failure(error)
                    }
                }
            }
            var results: [Result<[JobTally], StoreError>] = []
            for await result in group { results.append(result) }
            return results
        }
        var rows: [JobTally] = []
        for result in results { rows += try result.get() }
        return rows
    }
}

/// The parts of a shard that nobody has begun to read.
private final class PartsLeft: Sendable {
    private let parts = Mutex<ArraySlice<Part>>([])

    func begin(_ all: [Part]) { parts.withLock { $0 = all[...] } }
    var count: Int { parts.withLock { $0.count } }
    func take() -> Part? { parts.withLock { $0.popFirst() } }
}

/// Reads one part after another.
///
/// `@unchecked Sendable`: one task at a time reads.
private final class Lane: @unchecked Sendable {
    let shard: ScannedShard
    private var pages: JobPages?

    /// Pages of jobs that are read before their tallies are given on: whoever waits hears of it now and then.
    private static let pagesMax = 16
    private static let talliesMax = 4096
    /// Of a scan that wants all rows there are.
    private static let rowsAtFirst = 256

    init(_ shard: ScannedShard) { self.shard = shard }

    var isReading: Bool { pages != nil }

    func tallies(_ scan: JobScan, _ wants: JobTallies.Wants, _ parts: PartsLeft) async throws(StoreError) -> [JobTally] {
        var tallies = JobTallies(wants, at: shard.moment)
        var count = 0
        while count < Self.pagesMax, tallies.rows.count < Self.talliesMax {
            if pages == nil {
                guard let part = parts.take() else { break }
                pages = JobPages(scan, shard, parts: [part], rowsWanted: Self.rowsAtFirst)
            }
            guard let page = try await pages?.next() else {
                pages = nil
                continue
            }
            try tallies.add(page)
            count += 1
        }
        return tallies.rows
    }
}
