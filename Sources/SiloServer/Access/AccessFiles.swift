import Foundation
import GRPC
import SiloAccess
import SiloCore
import SiloService
import SiloTelemetry
import Synchronization

/// Keeps who may call, and the certificate, as their files say. What cannot be used is told, and changes nothing.
final class AccessFiles: Sendable {
    /// How often the files are looked at.
    static let lookMilliseconds: Int64 = 2000
    private static let warningSeconds = 14 * 86_400
    private static let warningEverySeconds = 86_400
    /// The files as they stand before they are read for the first time.
    struct Watched {
        fileprivate var tokens: WatchedFile?
        fileprivate var certificate: WatchedFile?

        init(_ settings: NodeSettings) {
            tokens = settings.tokensFile.map { WatchedFile([$0]) }
            certificate = settings.tlsFiles.map { WatchedFile($0.paths) }
        }
    }

    private static let tlsKeys = ["tls.cert_file", "tls.key_file", "tls.client_ca_file"]

    private struct State {
        var settings: NodeSettings
        var watched: Watched
        var certificates: [Certificate]
    }
    /// A certificate of a file: that which ends first.
    struct Certificate {
        enum Kind: String {
            case server
            case clientCA = "client_ca"
        }
        let kind: Kind
        /// In seconds since the Unix epoch.
        let until: Int
        /// When it was last told that it ends soon.
        var warnedAt = 0
    }
    private let state: Mutex<State>
    /// One reads at a time: what was read last is in force.
    private let turn = Mutex(())
    private let gate: Gate
    private let server: Server
    private let onRenewal: @Sendable (ServerTLS) -> Void
    private let clock: any Clock
    private let logger: Logger

    /// - Parameters:
    ///   - settings: with what was read from the files at the start.
    ///   - watched: the files as they stood before that.
    ///   - onRenewal: is given a certificate that the server has taken over.
    init(
        _ settings: NodeSettings, _ watched: Watched, _ gate: Gate, _ server: Server,
        onRenewal: @escaping @Sendable (ServerTLS) -> Void = { _ in },
        clock: any Clock, logger: Logger
    ) {
        self.gate = gate
        self.server = server
        self.onRenewal = onRenewal
        self.clock = clock
        self.logger = logger
        state = Mutex(State(settings: settings, watched: watched, certificates: Self.certificates(of: settings.tls)))
    }

    /// Those that are in use.
    var certificates: [Certificate] { state.withLock { $0.certificates } }

    private static func certificates(of tls: ServerTLS?) -> [Certificate] {
        [(Certificate.Kind.server, tls?.firstEnd), (.clientCA, tls?.firstClientEnd)].compactMap { kind, end in
            end.map { Certificate(kind: kind, until: $0) }
        }
    }

    /// Looks at the files until the task is cancelled.
    func watch() async {
        warnOfExpiry()
        while (try? await clock.sleep(milliseconds: Self.lookMilliseconds)) != nil { await onOwnThread { self.look() } }
    }

    /// Reads what has changed. Waits for the disk.
    func look() {
        turn.withLock { _ in
            let (settings, tokens, certificate) = state.withLock { state in
                (state.settings, state.watched.tokens?.look() ?? false, state.watched.certificate?.look() ?? false)
            }
            if tokens { readTokens(settings) }
            if certificate { readCertificate(settings) }
        }
        warnOfExpiry()
        gate.tellLeftOut()
    }

    /// Takes new settings over and reads all files, changed or not. Waits for the disk.
    /// - Returns: what could not be changed.
    func reload(_ new: NodeSettings) -> [RefusedSettings] { turn.withLock { _ in reloadInTurn(new) } }

    private func reloadInTurn(_ new: NodeSettings) -> [RefusedSettings] {
        var refusals: [RefusedSettings] = []
        let old = state.withLock { $0.settings }
        var settings = old
        func take<Value: Equatable>(_ name: String, _ path: WritableKeyPath<NodeSettings, Value?>, _ keys: [String]? = nil) {
            guard (old[keyPath: path] == nil) == (new[keyPath: path] == nil) else {
                let text = "\(name) can only be turned on or off by a restart"
                return refusals.append(RefusedSettings(keys: keys ?? [name], description: text))
            }
            settings[keyPath: path] = new[keyPath: path]
        }
        take("access.tokens_file", \.tokensFile)
        take("access.audit_log", \.auditLog)
        if let old = old.tlsFiles, let new = new.tlsFiles, (old.clientCA == nil) != (new.clientCA == nil) {
            // Renewals go on with the files of before: the server takes none that asks callers for more or for less.
            let text = "tls.client_ca_file: whether callers need a certificate can only be changed by a restart"
            refusals.append(RefusedSettings(keys: Self.tlsKeys, description: text))
        } else {
            take("tls", \.tlsFiles, Self.tlsKeys)
        }
        if old.tokensFile != nil {
            // Tokens are asked for in any case.
            settings.authToken = new.authToken
        } else {
            take("server.auth_token", \.authToken, ["server.auth_token", "server.auth_token_file"])
        }
        // First, so that what is noted of the rest stands in the new file, never in the one that was moved away.
        do { try gate.audit?.reopen(as: settings.auditLog) } catch {
            refusals.append(RefusedSettings(keys: ["access.audit_log"], description: "access.audit_log: \(error)"))
        }
        // As they stand before they are read. A new file that cannot be used leaves that of before in force.
        let watched = Watched(settings)
        let tokensMistake = readTokens(settings)
        if old.tokensFile != settings.tokensFile, let tokensMistake {
            refusals.append(RefusedSettings(keys: ["access.tokens_file"], description: tokensMistake))
            settings.tokensFile = old.tokensFile
        }
        let certificateMistake = readCertificate(settings)
        if old.tlsFiles != settings.tlsFiles, let certificateMistake {
            refusals.append(RefusedSettings(keys: Self.tlsKeys, description: "tls: \(certificateMistake)"))
            settings.tlsFiles = old.tlsFiles
        }
        state.withLock { state in
            state.settings = settings
            if old.tokensFile != settings.tokensFile { state.watched.tokens = watched.tokens }
            if old.tlsFiles != settings.tlsFiles { state.watched.certificate = watched.certificate }
        }
        return refusals
    }

    /// - Returns: why the tokens file cannot be used; nil: it is in force, or there is none.
    @discardableResult
    private func readTokens(_ settings: NodeSettings) -> String? {
        guard settings.tokensFile != nil || settings.authToken != nil else { return nil }
        do {
            let grants = try settings.grants(logger)
            gate.access.replace(secret: settings.authToken, grants ?? [])
            guard let grants else { return nil }
            logger.info("tokens read", ["tokens": .init(grants.count)])
            note("tokens", nil)
            return nil
        } catch {
            gate.access.replace(secret: settings.authToken)
            logger.error("the tokens file cannot be used; the tokens of before go on", ["error": .init("\(error)")])
            note("tokens", "\(error)")
            return "\(error)"
        }
    }

    /// - Returns: why the TLS files cannot be used; nil: they are in force, or there are none.
    @discardableResult
    private func readCertificate(_ settings: NodeSettings) -> String? {
        guard let files = settings.tlsFiles else { return nil }
        do {
            let tls = try files.read()
            try server.renew(tls)
            onRenewal(tls)
            state.withLock { state in
                state.certificates = Self.certificates(of: tls)
            }
            logger.info("TLS certificate read", ["certificate": .init(files.certificate)])
            note("tls", nil)
            return nil
        } catch {
            logger.error("the TLS files cannot be used; the certificate of before is served", ["error": .init("\(error)")])
            note("tls", "\(error)")
            return "\(error)"
        }
    }

    /// Settings were read anew.
    /// - Parameters:
    ///   - changed: keys of those that are in force now, and were not before.
    ///   - error: what kept all of them from being taken; nil: nothing did.
    func noteReload(changed: [String], error: String?) {
        note("settings", error, [("changed", changed.isEmpty ? "none" : changed.joined(separator: " "))])
    }

    /// What was read anew changes what others may do.
    private func note(_ what: String, _ error: String?, _ more: [(String, String)] = []) {
        gate.audit?.write(
            [("who", Caller.server.name), ("by", Caller.server.proof.rawValue), ("call", "reload"), ("target", what)]
                + (error == nil ? more : []) + [("outcome", error == nil ? "OK" : "FAILED")]
                + (error.map { [("error", $0)] } ?? [])
        )
    }

    /// Once a day.
    private func warnOfExpiry() {
        let now = Int(clock.now.milliseconds / 1000)
        let due: [Certificate] = state.withLock { state in
            state.certificates.indices.compactMap { index in
                let certificate = state.certificates[index]
                guard certificate.until - now < Self.warningSeconds, now - certificate.warnedAt >= Self.warningEverySeconds
                else { return nil }
                state.certificates[index].warnedAt = now
                return certificate
            }
        }
        for certificate in due { warn(of: certificate, left: certificate.until - now) }
    }

    private func warn(of certificate: Certificate, left: Int) {
        let (name, harm) =
            switch certificate.kind {
            case .server: ("the TLS certificate", "clients refuse it")
            case .clientCA: ("a certificate of the callers' authorities", "callers with its certificates are refused")
            }
        if left > 0 {
            logger.warn("\(name) expires soon: renew it", ["days": .init(left / 86_400), "hours": .init(left / 3600)])
        } else {
            logger.error("\(name) has expired: \(harm)", ["days_ago": .init(-left / 86_400)])
        }
    }
}

extension NodeSettings {
    /// What the tokens file grants; nil: there is none.
    /// - Throws: `StartError` with all that is wrong with it.
    func grants(_ logger: Logger) throws -> [Grant]? {
        guard let tokensFile else { return nil }
        let bytes: [UInt8]
        do { bytes = try WatchedFile.read(tokensFile) } catch { throw StartError("\(names.tokensFile): \(error)") }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw StartError("\(names.tokensFile): \(tokensFile) is no text")
        }
        var status = stat()
        let mode = stat(tokensFile, &status) == 0 ? status.st_mode : 0
        if mode & (S_IWGRP | S_IWOTH) != 0 {
            logger.warn("other users of this machine can change the tokens file: chmod 600", ["file": .init(tokensFile)])
        } else if mode & S_IROTH != 0 {
            // Its group may: that is how the packaged service reads it.
            logger.warn("other users of this machine can read the tokens file: chmod o=", ["file": .init(tokensFile)])
        }
        do throws(TokensFile.Mistakes) {
            return try TokensFile(text, tenancy: tenancy).grants
        } catch {
            throw StartError("\(names.tokensFile): \(tokensFile): \(error)")
        }
    }
}
