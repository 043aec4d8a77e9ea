import HTTPServer

/// The cookies of this site. Cookies do not know ports, so their names do: two servers on one machine keep apart.
struct Cookies {
    private let suffix: String
    private let prefix: String
    private let values: [String: String]
    private let isEncrypted: Bool

    init(_ request: HTTPRequest, isEncrypted: Bool) {
        let port = request.header("Host")?.split(separator: ":").last.flatMap { UInt16($0) }
        suffix = port.map { "_\($0)" } ?? ""
        // A browser takes a name like this only from this host, over TLS, for the whole site.
        prefix = isEncrypted ? "__Host-silo" : "silo"
        self.isEncrypted = isEncrypted
        var values: [String: String] = [:]
        for pair in (request.header("Cookie") ?? "").split(separator: ";").prefix(64) {
            let parts = pair.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else { continue }
            values[String(parts[0].drop { $0 == " " })] = String(parts[1])
        }
        self.values = values
    }

    var session: String? { values[name("session")] }
    var theme: Theme? { values[name("theme")].flatMap(Theme.init) }

    func setSession(_ id: String, seconds: Int64) -> String { set("session", id, seconds: seconds, "; HttpOnly") }
    func dropSession() -> String { set("session", "", seconds: 0, "; HttpOnly") }
    func setTheme(_ theme: Theme) -> String { set("theme", theme.rawValue, seconds: 365 * 86_400, "; HttpOnly") }

    private func name(_ what: String) -> String { "\(prefix)_\(what)\(suffix)" }

    private func set(_ what: String, _ value: String, seconds: Int64, _ more: String) -> String {
        "\(name(what))=\(value); Path=/; Max-Age=\(seconds); SameSite=Strict\(more)\(isEncrypted ? "; Secure" : "")"
    }
}

/// Which colours a viewer wants.
enum Theme: String {
    /// As the system has it.
    case auto
    case light, dark
}
