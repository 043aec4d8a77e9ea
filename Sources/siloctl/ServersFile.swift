import CommandLineTool
import Foundation
import SiloConfiguration

/// The servers that this person has given names: `siloctl.toml` in `$XDG_CONFIG_HOME/silo` or `~/.config/silo`.
struct ServersFile {
    /// How one of them is reached.
    struct Entry {
        var address: String?
        var tenant: String?
        var tokenFile: String?
        var authority: String?
        var certificate: String?
        var key: String?
    }
    let path: String
    private(set) var entries: [String: Entry] = [:]
    /// The one that is meant when none is named.
    private(set) var standard: String?

    static let example = """
        default = "local"

        [servers.local]
        address = "http://localhost:7450"

        [servers.prod]
        address = "https://silo.example.com:7450"
        auth_token_file = "prod.token"
        tls_ca = "ca.pem"
        tls_cert = "me.pem"
        tls_key = "me.key"
        tenant = "acme"
        """

    static var standardPath: String { folder + "/siloctl.toml" }

    /// Where this person's settings of Silo's tools lie.
    static var folder: String {
        let environment = ProcessInfo.processInfo.environment
        if let base = environment["XDG_CONFIG_HOME"], base.hasPrefix("/") { return base + "/silo" }
        return home + "/.config/silo"
    }

    static var home: String {
        ProcessInfo.processInfo.environment["HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil } ?? NSHomeDirectory()
    }

    /// The file where it belongs; empty when there is none.
    static func standard() throws -> ServersFile {
        let path = standardPath
        guard access(path, F_OK) == 0 else { return ServersFile(path: path) }
        let text = try InputFile.read(path, as: "the servers' file", bytesMax: TOMLDocument.bytesMax)
        return try ServersFile(text, path: path)
    }

    private init(path: String) { self.path = path }

    init(_ text: [UInt8], path: String) throws(Failure) {
        self.init(path: path)
        let document = TOMLDocument(text)
        if let fault = document.errors.first { throw Failure("\(path):\(fault.line):\(fault.column): \(fault.text)") }
        for value in document.values { try take(value, at: "\(path):\(value.line):\(value.column)") }
        if let standard, entries[standard] == nil {
            throw Failure("\(path): default names \(standard), which is no server of the file")
        }
        for (name, entry) in entries where entry.address == nil { throw Failure("\(path): server \(name) needs an address") }
    }

    private mutating func take(_ value: TOMLDocument.Value, at place: String) throws(Failure) {
        let names = value.path ?? []
        let key = names.last ?? ""
        if value.type == "table", names.first == "servers", names.count <= 2 {
            if names.count == 2 { entries[key] = entries[key] ?? Entry() }
            return
        }
        guard names == ["default"] || names.count == 3 && names[0] == "servers" else {
            throw Failure("\(place): \(names.joined(separator: ".")) is not known: write default, or [servers.NAME]")
        }
        guard value.type == "string" else { throw Failure("\(place): \(key) wants a text in quotes") }
        if names.count == 1 { return standard = value.text }
        guard let field = Self.fields[key] else {
            throw Failure("\(place): a server has no \(key); it may have \(Self.fields.keys.sorted().joined(separator: ", "))")
        }
        entries[names[1], default: Entry()][keyPath: field] = value.text
    }

    private static var fields: [String: WritableKeyPath<Entry, String?>] {
        [
            "address": \.address, "tenant": \.tenant, "auth_token_file": \.tokenFile, "tls_ca": \.authority,
            "tls_cert": \.certificate, "tls_key": \.key,
        ]
    }

    /// The entry of a name, or the standard one; its files lie beside this one unless they say otherwise.
    func entry(_ name: String?) throws(Failure) -> Entry? {
        guard let name = name ?? standard else { return nil }
        guard var entry = entries[name] else {
            let known = entries.isEmpty ? "none" : entries.keys.sorted().joined(separator: ", ")
            throw Failure("no server is named \(name) in \(path); there is \(known)")
        }
        for field in [\Entry.tokenFile, \.authority, \.certificate, \.key] {
            entry[keyPath: field] = entry[keyPath: field].map(resolved)
        }
        return entry
    }

    private func resolved(_ file: String) -> String {
        if file.hasPrefix("/") { return file }
        if file.hasPrefix("~/") { return (ProcessInfo.processInfo.environment["HOME"] ?? NSHomeDirectory()) + file.dropFirst() }
        return URL(fileURLWithPath: path).deletingLastPathComponent().path + "/" + file
    }
}
