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
    private static let tlsKeys = ["tls.cert_file", "tls.key_file", "tls.client_ca_file"]

    private struct State {
        var settings: NodeSettings
        var tokens: WatchedFile?
        var certificate: WatchedFile?
        var validity: ServerTLS.Validity?
        /// When it was last told that the certificate ends soon, in seconds since the Unix epoch.
        var warnedAt = 0
    }
    private let state: Mutex<State>
    private let gate: Gate
    private let server: Server
    private let onRenewal: @Sendable (ServerTLS) -> Void
    private let clock: any Clock
    private let logger: Logger

    /// - Parameters:
    ///   - settings: with what was read from the files at the start.
    ///   - onRenewal: is given a certificate that the server has taken over.
    init(
        _ settings: NodeSettings, _ gate: Gate, _ server: Server, onRenewal: @escaping @Sendable (ServerTLS) -> Void = { _ in },
        clock: any Clock, logger: Logger
    ) {
        self.gate = gate
        self.server = server
        self.onRenewal = onRenewal
        self.clock = clock
        self.logger = logger
        state = Mutex(State(
            settings: settings, tokens: settings.tokensFile.map { WatchedFile([$0]) },
            certificate: settings.tlsFiles.map { WatchedFile($0.paths) }, validity: try? settings.tls?.validity()
        ))
    }

    /// Looks at the files until the task is cancelled.
    func watch() async {
        warnOfExpiry()
        while (try? await clock.sleep(milliseconds: Self.lookMilliseconds)) != nil { look() }
    }

    /// Reads what has changed.
    func look() {
        let (settings, tokens, certificate) = state.withLock { state in
            (state.settings, state.tokens?.look() ?? false, state.certificate?.look() ?? false)
        }
        if tokens { readTokens(settings) }
        if certificate { readCertificate(settings) }
        warnOfExpiry()
        gate.tellLeftOut()
    }

    /// Takes new settings over and reads all files, changed or not.
    /// - Returns: what could not be changed.
    func reload(_ new: NodeSettings) -> [RefusedSettings] {
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
        take("server.auth_token", \.authToken, ["server.auth_token", "server.auth_token_file"])
        state.withLock { state in
            state.settings = settings
            if old.tokensFile != settings.tokensFile { state.tokens = settings.tokensFile.map { WatchedFile([$0]) } }
            if old.tlsFiles != settings.tlsFiles { state.certificate = settings.tlsFiles.map { WatchedFile($0.paths) } }
        }
        // First, so that what is noted of the rest stands in the new file, never in the one that was moved away.
        do { try gate.audit?.reopen(as: settings.auditLog) } catch {
            refusals.append(RefusedSettings(keys: ["access.audit_log"], description: "access.audit_log: \(error)"))
        }
        readTokens(settings)
        readCertificate(settings)
        return refusals
    }

    private func readTokens(_ settings: NodeSettings) {
        guard settings.tokensFile != nil || settings.authToken != nil else { return }
        do {
            let grants = try settings.grants(logger)
            gate.access.replace(secret: settings.authToken, grants ?? [])
            guard let grants else { return }
            logger.info("tokens read", ["tokens": .init(grants.count)])
            note("tokens", nil)
        } catch {
            gate.access.replace(secret: settings.authToken)
            logger.error("the tokens file cannot be used; the tokens of before go on", ["error": .init("\(error)")])
            note("tokens", "\(error)")
        }
    }

    private func readCertificate(_ settings: NodeSettings) {
        guard let files = settings.tlsFiles else { return }
        do {
            let tls = try files.read()
            try server.renew(tls)
            onRenewal(tls)
            state.withLock { state in
                state.validity = try? tls.validity()
                state.warnedAt = 0
            }
            logger.info("TLS certificate read", ["certificate": .init(files.certificate)])
            note("tls", nil)
        } catch {
            logger.error("the TLS files cannot be used; the certificate of before is served", ["error": .init("\(error)")])
            note("tls", "\(error)")
        }
    }

    /// What was read anew changes what others may do.
    private func note(_ what: String, _ error: String?) {
        gate.audit?.write(
            [("who", Caller.server.name), ("by", Caller.server.proof.rawValue), ("call", "reload"), ("target", what)]
                + [("outcome", error == nil ? "OK" : "FAILED")] + (error.map { [("error", $0)] } ?? [])
        )
    }

    /// Once a day.
    private func warnOfExpiry() {
        let now = Int(clock.now.milliseconds / 1000)
        let left: Int? = state.withLock { state in
            guard let validity = state.validity, validity.until - now < Self.warningSeconds,
                now - state.warnedAt >= Self.warningEverySeconds
            else { return nil }
            state.warnedAt = now
            return validity.until - now
        }
        guard let left else { return }
        if left > 0 {
            logger.warn("the TLS certificate expires soon: renew it", ["days": .init(left / 86_400), "hours": .init(left / 3600)])
        } else {
            logger.error("the TLS certificate has expired: clients refuse it", ["days_ago": .init(-left / 86_400)])
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
