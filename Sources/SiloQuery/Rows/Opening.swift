import SiloCore
import SiloStore

/// Takes the view of a shard: a page of one.
///
/// `@unchecked Sendable`: one task at a time reads.
final class Opening: PageSource, @unchecked Sendable {
    typealias Outcome = Result<QueriedShard.View, SiloError>
    private var shard: QueriedShard?

    init(_ shard: QueriedShard) { self.shard = shard }

    func next() async throws(StoreError) -> [Outcome]? {
        guard let shard else { return nil }
        self.shard = nil
        do throws(SiloError) { return [.success(try await shard.open())] } catch { return [.failure(error)] }
    }
}

extension StatementRun {
    /// Takes the views of all shards side by side, before the first row is read.
    func open() throws(QueryError) {
        let reads = PageReads(query.shards.map { ShardScan(id: $0.id, pages: Opening($0)) }, self)
        for index in query.shards.indices { reads.begin(index) }
        var views: [Int: QueriedShard.View] = [:]
        while reads.count > 0 {
            let (index, page) = try reads.next()
            switch page?.first {
            case .success(let view)?: views[index] = view
            case .failure(let error)?: try miss(query.shards[index].id, .unopened(error, of: query.shards[index].id))
            case nil: break
            }
        }
        let fence = query.tenants.map { Fence($0) }
        for (index, shard) in query.shards.enumerated() {
            guard let view = views[index] else { continue }
            let number = shards.count
            shards.append(OpenShard(id: shard.id, moment: view.moment) { [control, budget] in
                ScannedShard(
                    number: number, id: shard.id, range: shard.range, moment: view.moment,
                    reader: CountedReader(
                        reader: view.reader, counts: shard.counts, control: control, fence: fence, held: HeldRows(budget)))
            })
        }
    }
}
