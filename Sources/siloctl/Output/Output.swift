import CommandLineTool
import Foundation
import SiloCore

/// What a command prints: lines for people, or an object for programs.
struct Output {
    let isJSON: Bool
    private let isUTC: Bool
    private let isISO: Bool
    /// As seen from the moment at which something is shown, not from the one at which it was asked for.
    var times: Times { Times(isUTC: isUTC, isISO: isISO, now: SystemClock().now.milliseconds) }
    let isColored: Bool
    /// What is shown again and again is a line each time.
    private let isWatched: Bool
    static let isTerminal = isatty(STDOUT_FILENO) == 1

    /// In columns, of this moment; 80 where the terminal does not say.
    static var terminalWidth: Int {
        var size = winsize()
        return ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    init(_ arguments: Arguments) {
        isJSON = arguments.has("json")
        isWatched = arguments.has("watch")
        isUTC = arguments.has("utc")
        isISO = arguments.has("iso")
        let environment = ProcessInfo.processInfo.environment
        // https://no-color.org
        let isUnwanted = environment["NO_COLOR"]?.isEmpty == false || ["", "dumb"].contains(environment["TERM"] ?? "")
        isColored = Self.isTerminal && !isUnwanted
    }

    /// - Parameter isShort: the object goes on one line.
    func print(_ object: [String: Any], _ lines: [Line], isShort: Bool = false) throws {
        guard isJSON else { return Swift.print(lines.map { $0.text(isColored: isColored) }.joined(separator: "\n")) }
        Swift.print(try JSONText(isPretty: !isShort && !isWatched).text(of: object).printableJSON)
    }

    /// Tells people how far it has come.
    func say(_ line: Line) {
        guard !isJSON else { return }
        Swift.print(line.text(isColored: isColored))
        fflush(nil)
    }

    /// Writes a text as it is.
    static func write(_ text: String) { Swift.print(text, terminator: "") }

    /// A text of a server that has lines of its own.
    static func lines(_ text: String) -> [Line] {
        text.split(separator: "\n", omittingEmptySubsequences: false).map { Line(String($0)) }
    }

    /// Names and values, the values below each other.
    static func fields(_ fields: [(name: String, value: Line)]) -> [Line] {
        let width = (fields.map(\.name.count).max() ?? 0) + 2
        return fields.map { Line("\($0.name):", .heading).padded(to: width) + $0.value }
    }
}
