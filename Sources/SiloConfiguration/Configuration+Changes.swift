extension Configuration {
    /// What another configuration has otherwise, by key.
    package struct Changes: Sendable, Equatable {
        /// What takes effect while the server runs.
        package var applied: [String] = []
        /// What takes effect at the next start.
        package var atRestart: [String] = []
    }

    package func changes(to other: Configuration) -> Changes {
        Settings.entries.reduce(into: Changes()) { changes, entry in
            guard value(of: entry) != other.value(of: entry), entry.unused == nil else { return }
            if entry.isReloadable { changes.applied.append(entry.key) } else { changes.atRestart.append(entry.key) }
        }
    }
}
