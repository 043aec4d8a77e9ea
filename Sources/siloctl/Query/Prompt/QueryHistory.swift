import CommandLineTool
import Foundation

/// What was typed at the prompt before: `$XDG_STATE_HOME/silo/query_history`, or else `~/.local/state/silo/query_history`. One
/// entry a line, in which `\n` and `\\` stand for a new line and a backslash. Of mode 0600: statements name tenants.
struct QueryHistory {
    let path: String
    /// The oldest are dropped, when a prompt begins.
    static let entriesMax = 1000
    private static let entryBytesMax = 16 << 10
    private static let fileBytesMax = 32 << 20

    init() {
        let state = ProcessInfo.processInfo.environment["XDG_STATE_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        path = (state ?? ServersFile.home + "/.local/state") + "/silo/query_history"
    }

    /// The newest entries, oldest first.
    func load() throws -> [String] {
        guard access(path, F_OK) == 0 else { return [] }
        let bytes = try InputFile.read(path, as: "the prompt's history", bytesMax: Self.fileBytesMax)
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
        let newest = lines.suffix(Self.entriesMax)
        if newest.count < lines.count { try PrivateFile.replace(path, with: newest.map { $0 + "\n" }.joined()) }
        return newest.map(Self.unescaped)
    }

    /// One of unusual size is not kept.
    func append(_ entry: String) throws(Failure) {
        guard entry.utf8.count <= Self.entryBytesMax else { return }
        let line = entry.replacing("\\", with: "\\\\").replacing("\n", with: "\\n").replacing("\r", with: " ")
        try PrivateFile.append(line + "\n", to: path)
    }

    private static func unescaped(_ line: String) -> String {
        var text = ""
        var isEscaped = false
        for letter in line {
            if isEscaped {
                text.append(letter == "n" ? "\n" : letter)
                isEscaped = false
            } else if letter == "\\" {
                isEscaped = true
            } else {
                text.append(letter)
            }
        }
        return text
    }
}
