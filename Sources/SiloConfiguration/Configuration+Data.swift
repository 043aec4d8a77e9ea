extension Configuration {
    /// Where the data is, as the server takes it: a folder, `s3://bucket/prefix`, `gs://…`, `az://…` or `memory:`; nil: none is
    /// named.
    package var dataPlace: String? {
        // As it was given: what is wrong with it is told by who opens it.
        guard source(of: Settings.database.path) != .commandLine else { return self[Settings.database.path] }
        let path = self[Settings.database.path].map(Self.withoutPlaceholder)
        switch self[Settings.database.backend] {
        case "memory": return "memory:"
        case "s3": return path.map { $0.hasPrefix("s3://") ? $0 : "s3://\($0)" }
        case "gcs": return path.map { $0.hasPrefix("gs://") ? $0 : "gs://\($0)" }
        // A folder may have a name that looks like a bucket's.
        case "fs": return path.map { $0.contains(":") && !$0.hasPrefix("/") ? "./\($0)" : $0 }
        default: return path
        }
    }

    /// A folder for the log on local disk; nil: beside the data.
    package var logFolder: String? { self[Settings.database.logPath].map(Self.withoutPlaceholder) }

    /// The path before the name of a shard, under which each has a folder of its own.
    private static func withoutPlaceholder(_ path: String) -> String {
        for placeholder in ["%shard%", "{shard}"] where path.hasSuffix("/" + placeholder) {
            let folder = path.dropLast(placeholder.count)
            return folder == "/" ? "/" : String(folder.dropLast())
        }
        return path
    }

    /// Whether it stands anywhere but as the last part.
    static func isPlaceholderAmiss(in path: String) -> Bool {
        let rest = withoutPlaceholder(path)
        return rest.contains("%shard%") || rest.contains("{shard}")
    }

    /// A place that the command line names is of the kind that its text says.
    mutating func takeDataOption() {
        guard source(of: Settings.database.path) == .commandLine, let path = self[Settings.database.path] else { return }
        let kinds = [("memory:", "memory"), ("s3://", "s3"), ("gs://", "gcs"), ("az://", "url")]
        let kind = kinds.first { path.hasPrefix($0.0) }?.1 ?? "fs"
        set(Settings.database.backend.entry, .text(kind), from: .commandLine)
    }

    /// Names the place of who names none.
    package mutating func setStandardPlace(_ folder: String) {
        set(Settings.database.backend.entry, .text("fs"), from: .defaults)
        set(Settings.database.path.entry, .text(folder), from: .defaults)
    }
}
