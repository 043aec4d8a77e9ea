import SiloCore

/// A `LoggedStore` as it was at one moment.
struct LoggedSnapshot: StoreReader {
    let view: LoggedRowsView
    let below: any StoreReader
    let clock: any Clock

    func get(_ key: Bytes) async throws(StoreError) -> Bytes? {
        guard key.first != LogPosition.family else { return nil }
        switch view.find(key, at: clock.now) {
        case .value(let value): return value
        case .deleted: return nil
        case .unknown: return try await below.get(key)
        }
    }

    func scan(from start: Bytes, to end: Bytes, limit: Int) async throws(StoreError) -> [Row] {
        try await LayeredScan(view, over: below, at: clock.now).rows(from: start, to: end, limit: limit)
    }

    func page(from start: Bytes, to end: Bytes, limit: Int, bytesMax: Int) async throws(StoreError) -> RowPage {
        try await LayeredScan(view, over: below, at: clock.now).page(from: start, to: end, limit: limit, bytesMax: bytesMax)
    }
}
