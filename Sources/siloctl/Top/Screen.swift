import CommandLineTool
import Foundation
import Synchronization

/// The whole terminal. What is drawn takes the place of what was there; once it is left, all is as it was before.
enum Screen {
    /// How the terminal was before it was entered; nil: it has been left.
    private static let before = Mutex<termios?>(nil)

    // https://invisible-island.net/xterm/ctlseqs/ctlseqs.html: the other screen, without a cursor and without breaking lines.
    private static let entering = "\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l"
    private static let leaving = "\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l"
    private static let first = "\u{1b}[H"
    private static let restOfLine = "\u{1b}[K"

    struct Size: Sendable, Equatable {
        var columns = 80
        var lines = 24
    }

    static var size: Size {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return Size() }
        return Size(columns: Int(size.ws_col), lines: Int(size.ws_row))
    }

    /// Why there is nothing to draw on; nil: there is.
    static var reasonMissing: String? {
        if isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1 { return "it is not run at a terminal" }
        let kind = ProcessInfo.processInfo.environment["TERM"] ?? ""
        return ["", "dumb"].contains(kind) ? "this terminal cannot be drawn on (TERM is \"\(kind)\")" : nil
    }

    /// Keys come one by one from now on, and are not shown. Ctrl-C and its like are signals, as before.
    static func enter() throws(Failure) {
        var attributes = termios()
        guard tcgetattr(STDIN_FILENO, &attributes) == 0 else { throw Failure("the terminal does not say how it is set") }
        let isFirst = before.withLock { before in
            defer { before = before ?? attributes }
            return before == nil
        }
        attributes.c_lflag &= ~tcflag_t(ICANON | ECHO)
        withUnsafeMutableBytes(of: &attributes.c_cc) { keys in
            keys[Int(VMIN)] = 1
            keys[Int(VTIME)] = 0
        }
        guard tcsetattr(STDIN_FILENO, TCSADRAIN, &attributes) == 0 else { throw Failure("the terminal cannot be set") }
        // However the program ends, but for a kill.
        if isFirst { atexit { Screen.leave() } }
        send(entering)
    }

    static func leave() {
        guard var attributes = before.withLock({ before in
            defer { before = nil }
            return before
        }) else { return }
        send(leaving)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &attributes)
    }

    static func draw(_ lines: [String]) {
        // Cleared first: behind a line that fills the screen it would take its last letter.
        send(first + lines.map { restOfLine + $0 }.joined(separator: "\r\n"))
    }

    private static func send(_ text: String) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            // A terminal that is gone is told of by a signal.
            guard count > 0 || errno == EINTR else { return }
            sent += max(0, count)
        }
    }
}
