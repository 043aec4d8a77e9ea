import Foundation
import SlateDB
import SiloCore
import SiloStore

/// Where a node's data lies: a folder, a bucket, or memory.
public struct DataLocation: Sendable {
    /// What the operator wrote.
    public let text: String
    let store: ObjectStore
    /// What database paths begin with inside the store; empty for a folder.
    private let prefix: String
    /// The folder, when it is one. Held locked for as long as this value lives.
    private let lock: FolderLock?

    /// What a text names. Nothing is opened.
    struct Place {
        enum Kind: Equatable {
            case memory
            case folder(String)
            case bucket(String, path: String)
        }
        let text: String
        let kind: Kind
        /// What the operator calls the setting that names it.
        let setting: String

        private static let forms = "name a folder, s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or memory:"

        init(_ text: String, from setting: String = SettingNames().data) throws(StartError) {
            self.text = text
            self.setting = setting
            func mistake(_ text: String) -> StartError { StartError(text, mistaken: "database.path") }
            guard !text.isEmpty else { throw mistake("\(setting) names no place: \(Self.forms)") }
            guard text != "memory" else {
                throw mistake("\(setting) memory: write memory: for data that ends with the server, or ./memory for a folder")
            }
            let word = text.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || "+-.".contains($0)) }
            guard word.first?.isLetter ?? false, text[word.endIndex...].hasPrefix(":") else {
                kind = .folder(URL(fileURLWithPath: text).standardizedFileURL.path)
                return
            }
            guard text != "memory:" else {
                kind = .memory
                return
            }
            let rest = text[word.endIndex...].dropFirst(3)
            let bucket = rest.prefix { $0 != "/" }
            guard ["s3", "gs", "az"].contains(word), text[word.endIndex...].hasPrefix("://"), !bucket.isEmpty else {
                throw mistake("\(setting) \(text) is no place for data: \(Self.forms). A folder of that name is ./\(text)")
            }
            let path = rest.dropFirst(bucket.count).split(separator: "/").joined(separator: "/")
            kind = .bucket("\(word)://\(bucket)", path: path)
        }
    }

    /// Opens a location, making the folder when there is none.
    /// - Parameter text: a path, `s3://bucket/prefix`, `gs://...`, `az://...` or `memory:`. Credentials of buckets come from the
    ///   provider's usual environment variables (`AWS_*`, `GOOGLE_*`, `AZURE_*`).
    public init(_ text: String) throws { try self.init(Place(text)) }

    init(_ place: Place) throws {
        text = place.text
        switch place.kind {
        case .memory:
            store = try .memory()
            prefix = ""
            lock = nil
        case .bucket(let url, let path):
            prefix = path.isEmpty ? "" : path + "/"
            store = try .bucket(url, Self.credentials())
            lock = nil
        case .folder(let path):
            var status = stat()
            guard stat(path, &status) != 0 || status.st_mode & S_IFMT == S_IFDIR else {
                throw StartError("\(place.setting) \(path) is a file, where a folder is wanted")
            }
            do {
                try FileManager.default.createDirectory(
                    atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700]
                )
            } catch {
                throw StartError("cannot make the folder \(path), which \(place.setting) names", because: error)
            }
            lock = try FolderLock(path, from: place.setting)
            store = try .local(path)
            prefix = ""
        }
    }

    var isFolder: Bool { lock != nil }
    var isMemory: Bool { text == "memory:" }

    /// Its path, when it is a folder.
    var folder: String? { isFolder ? URL(fileURLWithPath: text).standardizedFileURL.path : nil }

    /// The command that keeps other users of the machine out of the folder; nil: they are kept out.
    var openToOthers: String? {
        guard let path = folder else { return nil }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & 0o077 != 0 else { return nil }
        return "chmod -R go= '\(path)'"
    }

    /// The default: `$XDG_DATA_HOME/silo`, or `~/.local/share/silo`.
    public static var standardFolder: String {
        let environment = ProcessInfo.processInfo.environment
        if let base = environment["XDG_DATA_HOME"], base.hasPrefix("/") { return base + "/silo" }
        // Foundation's own looks at the user's account instead.
        let home = environment["HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? NSHomeDirectory()
        return home + "/.local/share/silo"
    }

    /// Opens one database of the location.
    func open(_ name: String, _ options: OpenOptions) async throws(StorageError) -> Database {
        try await Database.open(prefix + name, in: store, options)
    }

    func admin(_ name: String) throws(StorageError) -> Admin {
        try Admin(prefix + name, in: store)
    }

    private static func credentials() -> [String: String] {
        var settings: [String: String] = [:]
        for (name, value) in ProcessInfo.processInfo.environment {
            let known = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
                         "AWS_ENDPOINT", "AWS_ALLOW_HTTP", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY",
                         "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY"]
            if known.contains(name) { settings[name.lowercased()] = value }
        }
        return settings
    }
}

/// Keeps a second server off a folder: SlateDB would fence the first one off instead.
private final class FolderLock: Sendable {
    private let file: Int32

    init(_ folder: String, from setting: String) throws {
        file = Glibc.open(folder + "/.lock", O_CREAT | O_RDWR | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw StartError("cannot write to \(folder), which \(setting) names: \(String(cString: strerror(errno)))")
        }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            Glibc.close(file)
            throw StartError("another silo server uses \(folder): stop it, or name another folder with \(setting)")
        }
    }

    deinit {
        // A process that is being started has a copy of the file for a moment, and would have the lock.
        flock(file, LOCK_UN)
        close(file)
    }
}

/// Why a node cannot start, and what to do about it.
public struct StartError: Error, CustomStringConvertible {
    public let description: String
    /// The setting whose value could never be right, such as `database.path`; nil: something else is the reason.
    package let mistakenSetting: String?

    public init(_ text: String) { self.init(text, mistaken: nil) }

    init(_ text: String, mistaken setting: String?) { (description, mistakenSetting) = (text, setting) }

    /// - Parameter error: Foundation's, of which only the system's words are told: its own are for programmers.
    init(_ text: String, because error: any Error) {
        mistakenSetting = nil
        let outer = error as NSError
        let beneath = (outer.userInfo[NSUnderlyingErrorKey] as? any Error).map { $0 as NSError } ?? outer
        let isSystems = beneath.domain == NSPOSIXErrorDomain
        description = "\(text): " + (isSystems ? String(cString: strerror(Int32(beneath.code))) : "error \(beneath.code)")
    }
}
