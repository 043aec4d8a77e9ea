import SiloAccess
import SiloCore
import Synchronization

/// The sessions of this server, in memory alone: after a restart everybody signs in anew.
final class Sessions: Sendable {
    private let sessions = Mutex<[String: Session]>([:])
    private let random: any RandomSource
    private let clock: any Clock
    private let milliseconds: Int64

    /// Of more, the one ends that has least time left.
    static let countMax = 4096

    /// - Parameter milliseconds: how long a session lasts.
    init(milliseconds: Int64, random: any RandomSource, clock: any Clock) {
        self.milliseconds = milliseconds
        self.random = random
        self.clock = clock
    }

    var seconds: Int64 { milliseconds / 1000 }

    func begin(_ token: TokenHash?) -> Session {
        let now = clock.steady
        let session = Session(id: secret(), question: secret(), token: token, expiresAt: now + milliseconds)
        sessions.withLock { sessions in
            if sessions.count >= Self.countMax { Self.makeRoom(in: &sessions, at: now) }
            sessions[session.id] = session
        }
        return session
    }

    func find(_ id: String) -> Session? {
        let now = clock.steady
        return sessions.withLock { sessions in
            guard let session = sessions[id], session.expiresAt > now else {
                sessions[id] = nil
                return nil
            }
            return session
        }
    }

    func end(_ session: Session) { sessions.withLock { $0[session.id] = nil } }

    /// 256 bits that nobody can foresee, in hex.
    func secret() -> String {
        (0..<4).map { _ in
            let digits = String(random.next(), radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    private static func makeRoom(in sessions: inout [String: Session], at now: Timestamp) {
        sessions = sessions.filter { $0.value.expiresAt > now }
        guard sessions.count >= countMax else { return }
        // Those who never signed in go first: anybody can begin such a session.
        let oldest = sessions.values.min { left, right in
            (left.token == nil ? 0 : 1, left.expiresAt) < (right.token == nil ? 0 : 1, right.expiresAt)
        }
        if let oldest { sessions[oldest.id] = nil }
    }
}
