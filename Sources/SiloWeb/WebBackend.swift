import Protobuf
package import SiloAccess
package import SiloCore

/// What the page shows and does, as the server gives it. Everything that is of somebody's jobs goes through `send`, which is the
/// way of a gRPC call but for the network: the same checks, bounds, roles and lines in the audit log.
package struct WebBackend: Sendable {
    /// Who is let in.
    package enum Admission: Sendable {
        /// Nobody is asked who it is: only this machine may come.
        case open
        /// Those who show a token.
        case tokens
        /// Callers show certificates, and there are no tokens, without which nobody can be known here.
        case certificatesAlone
    }
    package var admission: Admission
    /// Cookies are sent over TLS alone.
    package var isEncrypted: Bool
    package var sessionMilliseconds: Int64
    package var clock: any Clock
    package var random: any RandomSource

    /// Who shows a token, as things are now.
    package var caller: @Sendable (TokenHash) throws(SiloError) -> Caller
    /// Whether a caller may call a method at all, such as `/silo.v1.Silo/CancelJob`.
    package var may: @Sendable (Caller, _ method: String) -> Bool
    /// Calls a method for somebody, whose address is `peer`. Takes and gives encoded messages.
    package var send: @Sendable (_ method: String, [UInt8], Caller, _ peer: String) async throws(CallFailure) -> [UInt8]
    /// Writes down that somebody came in, left, or was refused.
    package var note: @Sendable (_ what: Visitation, Caller?, _ peer: String) -> Void
    /// What is counted, now.
    package var figures: @Sendable () -> Figures
    /// What a closer look finds. It waits for nothing.
    package var closeUp: @Sendable () -> CloseUp

    package init(
        admission: Admission, isEncrypted: Bool, sessionMilliseconds: Int64, clock: any Clock, random: any RandomSource,
        caller: @escaping @Sendable (TokenHash) throws(SiloError) -> Caller,
        may: @escaping @Sendable (Caller, _ method: String) -> Bool,
        send: @escaping @Sendable (_ method: String, [UInt8], Caller, _ peer: String) async throws(CallFailure) -> [UInt8],
        note: @escaping @Sendable (_ what: Visitation, Caller?, _ peer: String) -> Void,
        figures: @escaping @Sendable () -> Figures, closeUp: @escaping @Sendable () -> CloseUp = { CloseUp() }
    ) {
        self.admission = admission
        self.isEncrypted = isEncrypted
        self.sessionMilliseconds = sessionMilliseconds
        self.clock = clock
        self.random = random
        self.caller = caller
        self.may = may
        self.send = send
        self.note = note
        self.figures = figures
        self.closeUp = closeUp
    }

    /// Calls a method for somebody.
    func call<Request: Message, Answer: Message>(
        _ method: Method<Request, Answer>, _ request: Request, as caller: Caller, from peer: String
    ) async throws(CallFailure) -> Answer {
        let bytes = try await send(method.path, request.serializedBytes(), caller, peer)
        do {
            return try bytes.withUnsafeBytes { bytes throws(DecodingError) in try Answer(decoding: bytes) }
        } catch {
            throw CallFailure(.failed, "the answer of \(method.path) cannot be read: \(error)")
        }
    }
}

/// What a visitor did at the door.
package enum Visitation: Sendable {
    case signedIn, signedOut
    /// With the reason.
    case refused(String)
}

/// Why a call came to nothing.
package struct CallFailure: Error, Equatable, Sendable {
    /// What to do about it differs from one to the next.
    package enum Kind: Sendable {
        case invalid, denied, notFound, exists, refused, busy, unavailable, failed
    }
    package let kind: Kind
    /// A sentence for people, without a capital or a full stop.
    package let text: String

    package init(_ kind: Kind, _ text: String) {
        self.kind = kind
        self.text = text
    }
}
