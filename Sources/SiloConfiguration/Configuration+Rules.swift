import SiloTelemetry

extension Configuration {
    /// Something that is wrong with settings which are right one by one.
    package struct Conflict: Error, CustomStringConvertible, Equatable {
        package let description: String
        /// The setting to be named with it.
        let key: String
        /// What of the operator's said it.
        package let source: Source
        /// It is that something is missing, for which another mistake may be the reason.
        var isAbsence = true
    }

    /// All that makes no sense together.
    package func conflicts() -> [Conflict] {
        tlsConflicts() + tokenConflicts() + limiterConflicts() + dataConflicts() + clusterConflicts()
    }

    private func tlsConflicts() -> [Conflict] {
        let certificate = Settings.tls.certificateFile
        let key = Settings.tls.keyFile
        let authority = Settings.tls.clientCAFile
        func missing(_ missing: Setting<String?>, beside given: Setting<String?>) -> Conflict? {
            guard isGiven(given), !isGiven(missing) else { return nil }
            let from = source(of: given)
            let pair = "\(title(certificate, as: from)) and \(title(key, as: from))"
            return Conflict(
                description: "\(title(missing, as: from)) is missing: \(pair) go together", key: given.entry.key, source: from)
        }
        let found = [missing(key, beside: certificate), missing(certificate, beside: key)].compactMap { $0 }
        guard found.isEmpty, isGiven(authority), !isGiven(certificate) else { return found }
        let from = source(of: authority)
        let text = "\(title(authority, as: from)) needs \(title(certificate, as: from)) and \(title(key, as: from))"
        return [Conflict(description: text, key: authority.entry.key, source: from)]
    }

    private func tokenConflicts() -> [Conflict] {
        let token = Settings.server.authToken
        let file = Settings.server.authTokenFile
        let from = source(of: token)
        if self[token]?.isEmpty == true, !(from < source(of: file)) {
            let text = "\(title(token)): the auth token is empty: name one, or none at all"
            return [Conflict(description: text, key: token.entry.key, source: from, isAbsence: false)]
        }
        guard isGiven(token), isGiven(file), from.isBeside(source(of: file)) else { return [] }
        let text = "\(title(token, as: from)) and \(title(file, as: from)) exclude each other: give one of them"
        return [Conflict(description: text, key: token.entry.key, source: from, isAbsence: false)]
    }

    /// A file may say how a limiter would be asked before it names one; on the command line it is a slip.
    private func limiterConflicts() -> [Conflict] {
        let limiter = Settings.gubernator
        guard !isGiven(limiter.address) else { return [] }
        return limiter.entries.compactMap { entry in
            guard source(of: entry) == .commandLine, let option = entry.option else { return nil }
            return Conflict(description: "--\(option.name) needs --gubernator", key: entry.key, source: .commandLine)
        }
    }

    /// Servers that share a place without a cluster would take the shards from each other.
    private func clusterConflicts() -> [Conflict] {
        let backend = Settings.coordination.backend
        guard self[backend] != "none" else { return [] }
        let text = "\(title(backend)) must be none, not \(self[backend]): there are no clusters yet, and a second server on the "
            + "same data would take the shards from the first"
        return [Conflict(description: text, key: backend.entry.key, source: source(of: backend), isAbsence: false)]
    }

    /// What options and the environment give that has no meaning; a file's is looked at as it is read.
    func valueConflicts() -> [Conflict] {
        var found: [Conflict] = []
        func amiss<Value>(_ setting: Setting<Value>, _ text: String) {
            found.append(Conflict(
                description: "\(title(setting))\(text)", key: setting.entry.key, source: source(of: setting), isAbsence: false))
        }
        let maxData = self[Settings.database.maxData]
        if DataLimit(maxData) == nil { amiss(Settings.database.maxData, " must be \(DataLimit.forms), not \(maxData)") }
        do throws(LogFilter.Mistake) { _ = try LogFilter(self[Settings.logging.filter]) } catch {
            amiss(Settings.logging.filter, ": \(error)")
        }
        return found
    }

    private func dataConflicts() -> [Conflict] {
        let database = Settings.database
        var found: [Conflict] = []
        func missing(_ setting: Setting<String?>, beside other: Setting<String?>) {
            guard isGiven(other), !isGiven(setting) else { return }
            let text = "missing field `\(setting.entry.name)` beside \(other.entry.key)"
            found.append(Conflict(description: text, key: other.entry.key, source: source(of: other)))
        }
        if file != nil, !isGiven(database.backend), !isGiven(database.path) {
            // Also of a file with nothing in it: one that was emptied by accident shall not begin anew in another place.
            let text = "missing field `database`: a file says where the data is, on a line each: [database], backend = \"fs\", "
                + "path = \"/var/lib/silo\" or another folder; or the server gets --data FOLDER"
            found.append(Conflict(description: text, key: Settings.database.path.entry.key, source: .file(line: 1, column: 1)))
        }
        if self[database.backend] != "memory" { missing(database.path, beside: database.backend) }
        missing(database.backend, beside: database.path)
        if source(of: database.logPath) != .commandLine {
            missing(database.logBackend, beside: database.logPath)
            missing(database.logPath, beside: database.logBackend)
        }
        return found + placeConflicts()
    }

    /// Places that are none.
    private func placeConflicts() -> [Conflict] {
        let database = Settings.database
        var found: [Conflict] = []
        func amiss(_ setting: Setting<String?>, _ text: String) {
            let whole = "\(title(setting)) must \(text)"
            found.append(Conflict(description: whole, key: setting.entry.key, source: source(of: setting), isAbsence: false))
        }
        for setting in [database.path, database.logPath] {
            guard let path = self[setting], Self.isPlaceholderAmiss(in: path) else { continue }
            amiss(setting, "end with /%shard% or /{shard}, or do without")
        }
        // What the command line names is told of by who opens it.
        guard self[database.backend] == "url", source(of: database.path) != .commandLine, let path = self[database.path],
            let colon = path.firstRange(of: "://"), !["s3", "gs", "az"].contains(path[..<colon.lowerBound])
        else { return found }
        amiss(database.path, "begin with s3://, gs:// or az://, or be a folder or memory:")
        return found
    }
}
