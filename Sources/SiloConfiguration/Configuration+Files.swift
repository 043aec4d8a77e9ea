import CommandLineTool

extension Configuration {
    /// Files that are to be read and cannot be, and those to be written for which there is no folder.
    /// - Parameter name: how a setting is called.
    package func unusableFiles(_ name: (Setting<String?>) -> String) -> [Conflict] {
        // What overrides the file of the secret leaves it unread.
        let secret = source(of: Settings.server.authToken) < source(of: Settings.server.authTokenFile)
        let read = [Settings.tls.certificateFile, Settings.tls.keyFile, Settings.tls.clientCAFile, Settings.access.tokensFile]
            + (secret ? [Settings.server.authTokenFile] : [])
        let written = [Settings.access.auditLog, Settings.logging.file]
        func conflicts(_ settings: [Setting<String?>], _ reason: (String) -> String?) -> [Conflict] {
            settings.compactMap { setting in
                guard let path = self[setting], let reason = reason(path) else { return nil }
                return Conflict(
                    description: "\(name(setting)): \(reason)", key: setting.entry.key, source: source(of: setting),
                    isAbsence: false)
            }
        }
        return conflicts(read, InputFile.unreadableReason)
            + conflicts(written) { path in
                // Words that name a stream.
                ["-", "stdout", "stderr"].contains(path) ? nil : InputFile.unwritableReason(path)
            }
    }
}
