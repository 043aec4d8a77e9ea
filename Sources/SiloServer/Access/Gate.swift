import GRPC
import Protobuf
import SiloCore
import SiloService
import SiloTelemetry
import Synchronization

/// Where every call comes through: who calls is asked, what administrators do is written down, and so are refusals.
final class Gate: Sendable {
    /// Refusals in the audit log a second, at most: strangers must not fill it.
    private static let refusalsPerSecond = 10

    let access: Access
    let audit: AuditLog?
    private let clock: any Clock
    private let throttle: LogThrottle
    /// Refusals that were not written to the audit log.
    let refusalsLeftOut = Counter()
    /// Calls of tokens that had asked for as much as they may: those that bring new jobs, and all others.
    let limitedEnqueues = Counter()
    let limitedOthers = Counter()
    private let refusals = Mutex((second: Int64(0), written: 0, left: 0))

    init(_ access: Access, audit: AuditLog? = nil, clock: any Clock, logger: Logger) {
        self.access = access
        self.audit = audit
        self.clock = clock
        throttle = LogThrottle(logger)
    }

    /// Looks at a call's headers before its request is read; nil lets everybody in.
    func screen(of path: String) -> Server.Screen? {
        guard !access.isOpen else { return nil }
        let method = MethodAccess.of(path)
        return { [self] headers in
            var caller: Caller?
            do throws(SiloError) {
                let known = try access.caller(.init(
                    authorization: headers.header("authorization"), certificateNames: { headers.certificateNames }))
                caller = known
                try access.admit(known, to: method)
                return .admitted(known)
            } catch {
                note(error, path, peer: headers.peer, caller: caller)
                return .refused(Status(error).shortened)
            }
        }
    }

    /// Whether somebody who is known may call a method now, who came by another way than the network of calls.
    func admit(_ caller: Caller, to path: String, peer: String) throws(SiloError) {
        do throws(SiloError) {
            try access.admit(caller, to: MethodAccess.of(path))
        } catch {
            note(error, path, peer: peer, caller: caller)
            throw error
        }
    }

    /// Somebody came to the web page, or went.
    func noteVisit(_ call: String, _ caller: Caller?, peer: String, refusal: String?) {
        guard let audit, let left = refusal == nil ? 0 : mayWrite() else { return }
        let outcome = refusal == nil ? "OK" : "UNAUTHENTICATED"
        audit.write(
            (caller.map(Self.who) ?? []) + [("peer", peer), ("call", call), ("outcome", outcome)]
                + (refusal.map { [("error", $0)] } ?? []) + (left > 0 ? [("left_out", "\(left)")] : []))
    }

    /// A call was read.
    func pay(for caller: Caller, _ request: some Message, bytes: Int) {
        guard caller.allowance != nil else { return }
        access.pay(for: caller, entries: (request as? any RequestOfMany)?.entryCount ?? 1, bytes: bytes)
    }

    /// What is kept of a call until it is answered: of administrators' calls, and of those whose tenant or task group may be
    /// refused; nil for all others.
    /// - Parameter isWritten: see `writes`.
    func record(_ path: String, _ request: some Message, _ context: RequestContext, isWritten: Bool) -> CallRecord? {
        guard isWritten || !context.caller.isUnbound else { return nil }
        let about = isWritten ? (request as? any AuditedRequest)?.auditFields ?? [] : []
        return CallRecord(self, path, context, about: about, isWritten: isWritten)
    }

    /// Whether calls of a method are written down, whatever comes of them.
    func writes(_ path: String) -> Bool { audit != nil && MethodAccess.of(path).isAdministrative }

    /// A call of an administrator is over.
    /// - Parameter denied: entries of the batch that were refused.
    fileprivate func wrote(_ record: CallRecord, outcome: String, error: String?, denied: Int = 0) {
        audit?.write(
            Self.who(record.context.caller) + [("peer", record.peer), ("call", Self.name(record.path))] + record.about
                + [("outcome", outcome)] + (denied > 0 ? [("denied_entries", "\(denied)")] : [])
                + (error.map { [("error", $0)] } ?? [])
        )
    }

    /// Somebody was refused, at the door or inside.
    /// - Parameter entries: of a batch that was answered: so many were refused, this is the first.
    func note(_ error: SiloError, _ path: String, peer: String, caller: Caller? = nil, entries: Int? = nil) {
        if case .tooMuch = error { (MethodAccess.of(path).bringsJobs ? limitedEnqueues : limitedOthers).add() }
        let status = Status(error).shortened
        throttle.log(.info, kind: "\(status.code)", "call refused", [
            "call": .init(Self.name(path)), "peer": .init(peer), "why": .init(status.message),
        ])
        guard let audit, error.isOfAccess, let left = mayWrite() else { return }
        audit.write(
            (caller.map(Self.who) ?? []) + [("peer", peer), ("call", Self.name(path)), ("outcome", "\(status.code)")]
                + (entries.map { [("entries", "\($0)")] } ?? []) + [("error", status.message)]
                + (left > 0 ? [("left_out", "\(left)")] : [])
        )
    }

    /// Writes down how many refusals were left out, once the second is over in which they were: no refusal may follow that
    /// would say so.
    func tellLeftOut() {
        let second = clock.steady.milliseconds / 1000
        let left = refusals.withLock { state in
            guard state.second != second else { return 0 }
            defer { state.left = 0 }
            return state.left
        }
        guard left > 0 else { return }
        audit?.write(
            [("who", Caller.server.name), ("by", Caller.server.proof.rawValue), ("call", "refusals"), ("outcome", "LEFT_OUT")]
                + [("left_out", "\(left)")])
    }

    /// Whether a refusal may be written now.
    /// - Returns: how many refusals were left out since the last that was written; nil: this one is left out too.
    private func mayWrite() -> Int? {
        let second = clock.steady.milliseconds / 1000
        return refusals.withLock { state in
            if state.second != second { (state.second, state.written) = (second, 0) }
            guard state.written < Self.refusalsPerSecond else {
                state.left += 1
                refusalsLeftOut.add()
                return nil
            }
            state.written += 1
            defer { state.left = 0 }
            return state.left
        }
    }

    private static func who(_ caller: Caller) -> [(String, String)] { [("who", caller.name), ("by", caller.proof.rawValue)] }

    private static func name(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }
}

extension SiloError {
    /// It is about who calls.
    var isOfAccess: Bool {
        switch self {
        case .unauthenticated, .denied: true
        case .inBatch(_, let error): error.isOfAccess
        default: false
        }
    }
}

/// A call until it is answered. Its outcome is told once, also when it never is.
final class CallRecord: Sendable {
    private let gate: Gate
    fileprivate let path: String
    fileprivate let context: RequestContext
    /// Asked while the call lives, where it may be needed afterwards.
    fileprivate let peer: String
    /// What it is about.
    fileprivate let about: [(String, String)]
    /// Whatever comes of it is written to the audit log; else only that it was refused.
    private let isWritten: Bool
    private let isOver = Atomic(false)

    init(_ gate: Gate, _ path: String, _ context: RequestContext, about: [(String, String)], isWritten: Bool) {
        self.gate = gate
        self.path = path
        self.context = context
        peer = isWritten ? context.peer : ""
        self.about = about
        self.isWritten = isWritten
    }

    deinit {
        if isWritten, !isOver.load(ordering: .relaxed) { gate.wrote(self, outcome: "NO_ANSWER", error: nil) }
    }

    /// - Parameters:
    ///   - failure: nil: it was done.
    ///   - entries: what was refused of a batch that was done.
    func end(_ failure: SiloError?, _ entries: [SiloError] = []) {
        guard !isOver.exchange(true, ordering: .relaxed) else { return }
        let denied = entries.filter(\.isOfAccess)
        if let first = denied.first {
            if isWritten { return gate.wrote(self, outcome: "OK", error: Status(first).shortened.message, denied: denied.count) }
            return gate.note(first, path, peer: context.peer, caller: context.caller, entries: denied.count)
        }
        if isWritten {
            let status = failure.map { Status($0).shortened }
            gate.wrote(self, outcome: status.map { "\($0.code)" } ?? "OK", error: status?.message)
        } else if let failure, failure.isOfAccess {
            gate.note(failure, path, peer: context.peer, caller: context.caller)
        }
    }
}
