extension SettingForm {
    /// Where to listen, or to call.
    static let address = Self.checked(wanted: "host:port, such as \"127.0.0.1:7450\", or unix:path") { text in
        if text.hasPrefix("unix:") { return text.count > "unix:".count }
        return isHostAndPort(text)
    }

    /// What others are told to call.
    static let calledAddress = Self.checked(
        wanted: "host:port with a port from 1 to 65535, such as silo.example:7450 or [2001:db8::1]:7450"
    ) { text in
        if text.hasPrefix("unix:") { return text.count > "unix:".count }
        return isHostAndPort(text) && !text.contains(/:0+$/)
    }

    /// Where to listen, or nowhere.
    static let httpAddress = Self.checked(wanted: "host:port, such as \"127.0.0.1:9090\", or \"none\"") { text in
        text == "none" || isHostAndPort(text)
    }

    private static func isHostAndPort(_ text: String) -> Bool {
        guard let colon = text.lastIndex(of: ":"), colon > text.startIndex else { return false }
        let host = text[..<colon]
        let port = text[text.index(after: colon)...]
        let isHost = !host.contains(":") || host.hasPrefix("[") && host.hasSuffix("]")
        return isHost && !host.contains("/") && port.allSatisfy(\.isNumber) && UInt16(port) != nil
    }
}
