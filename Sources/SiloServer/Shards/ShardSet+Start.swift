import SiloCore
import SiloService
import SiloStore
import SiloTelemetry
import SlateDB

// What the log says of the shards when the server has started, for all of them at once.

extension ShardSet {
    /// How answers of the shards that serve are durable; `none` when none does.
    var durability: String {
        let kinds = Set(hosts.compactMap { host -> String? in
            guard case .serving(_, let store) = host.current else { return nil }
            return store.durability?.rawValue
        })
        return kinds.isEmpty ? "none" : kinds.sorted().joined(separator: ", ")
    }
}

extension Logger {
    /// Names the shards that do not serve yet; why, each has said by itself.
    func warnOfUnopened(_ hosts: [ShardHost]) {
        let unopened = hosts.filter { $0.shard == nil }
        guard !unopened.isEmpty else { return }
        warn("not every shard is open: those that are not are tried again until they are", [
            "open": .init(hosts.count - unopened.count), "not_open": .init(unopened.count),
            "shards": .init(unopened.prefix(8).map(\.id.description).joined(separator: " ")),
        ])
    }
}
