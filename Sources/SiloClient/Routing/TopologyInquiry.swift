import GRPC
import SiloAPI

/// Asks servers where the shards are, side by side; the first answer counts.
struct TopologyInquiry: Sendable {
    let connections: Connections
    let options: ClientOptions
    /// Servers that are asked at once, and how long each may take.
    private static let askedAtOnceMax = 8
    private static let timeoutMax = Duration.seconds(10)

    func ask(_ addresses: [String]) async -> Result<Topology, Status> {
        await withTaskGroup(of: Result<Topology, Status>.self) { group in
            var rest = addresses[...]
            func askNext() {
                guard let address = rest.popFirst() else { return }
                group.addTask { await self.ask(address) }
            }
            for _ in 0..<Self.askedAtOnceMax { askNext() }
            var failure = Status(.unavailable, "no server is known: name one")
            while let answer = await group.next() {
                switch answer {
                case .success:
                    group.cancelAll()
                    return answer
                case .failure(let status):
                    // A mistake of the caller's tells more than that others do not answer.
                    if failure.code != .invalidArgument { failure = status }
                    askNext()
                }
            }
            return .failure(failure)
        }
    }

    private func ask(_ address: String) async -> Result<Topology, Status> {
        do throws(Status) {
            let timeout = min(options.timeout ?? Self.timeoutMax, Self.timeoutMax)
            let info = try await connections.call(SiloV1.Silo.getClusterInfo, .init(), at: address, timeout: timeout)
            let isAsNamed = options.seedsAreServers && options.servers.contains(address)
            return .success(Topology(info, answerer: isAsNamed ? address : nil))
        } catch {
            return .failure(error)
        }
    }
}
