import CommandLineTool
import GRPC
import SiloAccess

extension Configuration {
    /// Files that are to be read and cannot be, or hold something else than they should, and those to be written for which there
    /// is no folder.
    func unusableFiles() -> [Conflict] {
        let tls = [Settings.tls.certificateFile, Settings.tls.keyFile, Settings.tls.clientCAFile]
        var found = tls.compactMap { unreadable($0) { _ in nil } }
        if found.isEmpty, let conflict = mistakenCertificate() { found.append(conflict) }
        if let conflict = unreadable(Settings.access.tokensFile, holds: tokenMistakes) { found.append(conflict) }
        // What overrides the file of the secret leaves it unread.
        if source(of: Settings.server.authToken) < source(of: Settings.server.authTokenFile),
            let conflict = unreadable(Settings.server.authTokenFile, holds: SecretFile.mistake(in:))
        {
            found.append(conflict)
        }
        return found + [Settings.access.auditLog, Settings.logging.file].compactMap(unwritable)
    }

    private func conflict(_ setting: Setting<String?>, _ reason: String) -> Conflict {
        Conflict(
            description: "\(title(setting)): \(reason)", key: setting.entry.key, source: source(of: setting), isAbsence: false)
    }

    /// - Parameter mistake: what is wrong with what the file holds. Not asked of what comes out of a pipe: that is there once.
    private func unreadable(_ setting: Setting<String?>, holds mistake: (String) -> String?) -> Conflict? {
        guard let path = self[setting] else { return nil }
        let reason = InputFile.unreadableReason(path) ?? (InputFile.isOrdinary(path) ? mistake(path) : nil)
        return reason.map { conflict(setting, $0) }
    }

    private func unwritable(_ setting: Setting<String?>) -> Conflict? {
        // Words that name a stream.
        guard let path = self[setting], !["-", "stdout", "stderr"].contains(path) else { return nil }
        return InputFile.unwritableReason(path).map { conflict(setting, $0) }
    }

    private func tokenMistakes(_ path: String) -> String? {
        Self.mistake(path) { path in
            guard let text = String(validating: try InputFile.read(path, bytesMax: TokensFile.bytesMax), as: UTF8.self) else {
                return "\(path) is no text"
            }
            do throws(TokensFile.Mistakes) {
                _ = try TokensFile(text, tenancy: self[Settings.tenancy.isEnabled])
                return nil
            } catch { return "\(path): \(error)" }
        }
    }

    /// Certificate, key and authority are looked at together.
    private func mistakenCertificate() -> Conflict? {
        guard let certificate = self[Settings.tls.certificateFile], let key = self[Settings.tls.keyFile] else { return nil }
        let authority = self[Settings.tls.clientCAFile]
        guard ([certificate, key] + (authority.map { [$0] } ?? [])).allSatisfy(InputFile.isOrdinary) else { return nil }
        let reason = Self.mistake(certificate) { _ in
            let tls = ServerTLS(
                certificateChain: try InputFile.read(certificate), privateKey: try InputFile.read(key),
                clientCA: try authority.map { try InputFile.read($0) })
            _ = try tls.validity()
            return nil
        }
        return reason.map { conflict(Settings.tls.certificateFile, $0) }
    }

    private static func mistake(_ path: String, _ look: (String) throws -> String?) -> String? {
        do { return try look(path) } catch { return "\(error)" }
    }
}
