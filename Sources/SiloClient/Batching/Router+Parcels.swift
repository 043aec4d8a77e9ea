import GRPC

/// Parcels that have no answer, and why.
struct Undelivered<Item: Sendable>: Sendable {
    let parcels: [Parcel<Item>]
    let status: Status

    /// Perhaps one of them has spoilt the call for the others.
    var mayBeOfOne: Bool {
        switch status.code {
        case .cancelled, .unauthenticated, .permissionDenied: false
        default: parcels.count > 1 && !status.isWorthAnotherTry
        }
    }

    func refuse() { for parcel in parcels { parcel.end(.refused(status)) } }
}

extension Router {
    /// Sends parcels together, and those again that were not taken, until each has its answer.
    /// - Parameters:
    ///   - tried: called after each try.
    ///   - send: one try: for each item why it was refused, or nil. Throws what concerns all of them.
    /// - Returns: those that have none when nothing more is to be tried; nil when there are none.
    func deliver<Item: Sendable>(
        _ parcels: [Parcel<Item>], to target: Target, _ repeats: Repeats = .asConfigured, tried: () -> Void = {},
        _ send: (_ items: [Item], _ shard: String, _ address: String, _ tries: Int) async throws(Status) -> [Status?]
    ) async -> Undelivered<Item>? {
        var rest = parcels
        do throws(Status) {
            try await run(target, repeats) { shard, address, tries throws(Status) in
                defer { tried() }
                rest.removeAll { !$0.isOpen }
                guard !rest.isEmpty else { return }
                let refusals = try await send(rest.map(\.item), shard, address, tries)
                rest = Self.settle(rest, refusals)
                if let refusal = refusals.compactMap(\.self).last(where: \.isWorthAnotherTry) { throw refusal }
            }
            return nil
        } catch {
            return Undelivered(parcels: rest, status: error)
        }
    }

    /// Hands out answers.
    /// - Returns: the parcels that are worth another try.
    private static func settle<Item>(_ parcels: [Parcel<Item>], _ refusals: [Status?]) -> [Parcel<Item>] {
        zip(parcels, refusals).compactMap { parcel, refusal in
            if let refusal, refusal.isWorthAnotherTry { return parcel }
            parcel.end(refusal.map { .refused($0) } ?? .taken)
            return nil
        }
    }
}
