import SiloCore
import SiloStore
import SiloTelemetry

/// A walk on its way through the shard, with the caller that waits for it.
///
/// `@unchecked Sendable`: as `PendingCommand`, it is the loop's from when it was posted.
final class PendingWalk<W: Walk>: PendingWork, @unchecked Sendable {
    private var walk: W
    private let completion: @Sendable (Result<W.Answer, SiloError>) -> Void
    private var found: W.Answer?
    let context: RequestContext
    private let span: RecordedSpan?
    var arrivedAt = Timestamp(0)

    /// Things that are looked at in one step, which takes about as long as so many commands of the turn.
    static var lookedAtMax: Int { 2048 }
    private static var asCommands: Int { 128 }

    init(_ walk: W, _ context: RequestContext, _ completion: @escaping @Sendable (Result<W.Answer, SiloError>) -> Void) {
        self.walk = walk
        self.context = context
        self.completion = completion
        span = context.span?.commit(of: W.self)
    }

    var lane: Lane { .ordinary }
    var changes: Bool { false }
    var weight: Weight { Weight(jobs: 1, bytes: Weight.commandBytes) }
    var goesOnBehindOthers: Bool { true }

    func run(in transaction: Transaction, _ room: inout TurnRoom) async throws(StoreError) -> Bool {
        room.take(Weight(jobs: Self.asCommands, bytes: 0))
        found = walk.step(View(of: transaction), countMax: Self.lookedAtMax)
        return found != nil
    }

    func answer() { end(found.map { .success($0) } ?? .failure(.unavailable("the command did not run"))) }
    func fail(_ error: SiloError) { end(.failure(error)) }

    private func end(_ result: Result<W.Answer, SiloError>) {
        span?.end(result)
        completion(result)
    }
}
