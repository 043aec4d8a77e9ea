import CLineEdit
import CommandLineTool
import Foundation

/// Reads lines at the terminal, with keys to edit, complete and recall them. Blocks its thread while somebody types; used by one
/// thread alone.
final class LineEditor {
    enum Input {
        case line(String)
        /// Ctrl-C: what was typed is to be forgotten.
        case broken
        /// Ctrl-D on an empty line, or the terminal is gone.
        case ended
    }

    /// What may stand at the cursor.
    struct Offer {
        /// What of it is typed already.
        var typed = ""
        var candidates: [String] = []
    }

    /// Is asked at the tab key, with the line before and behind the cursor.
    var complete: (_ before: String, _ after: String) -> Offer = { _, _ in Offer() }

    private let history: OpaquePointer
    private var editor: OpaquePointer?
    private var prompt: UnsafeMutablePointer<CChar>?
    private var wasBroken = false

    private static let interruptKey = "^C"
    private static let listedMax = 200

    /// - Throws: when the terminal cannot be edited at.
    init(linesMax: Int) throws(Failure) {
        guard let history = clineedit_history(Int32(linesMax)) else { throw Failure("no memory for the lines") }
        self.history = history
        let context = Unmanaged.passUnretained(self).toOpaque()
        editor = clineedit_open("siloctl", history, context) { editor in LineEditor.of(editor)?.prompt }
        guard let editor else { throw Failure("the terminal cannot be edited at; give the statement on the command line") }
        clineedit_bind(editor, "^I", "silo-complete") { editor, _ in LineEditor.of(editor)?.completeWord() ?? UInt8(CC_ERROR) }
        clineedit_bind(editor, Self.interruptKey, "silo-break") { editor, _ in
            LineEditor.of(editor)?.breakLine() ?? UInt8(CC_EOF)
        }
    }

    deinit {
        if let editor { el_end(editor) }
        history_end(history)
        free(prompt)
    }

    /// It outlives its editor, which ends with it.
    private static func of(_ editor: OpaquePointer?) -> LineEditor? {
        clineedit_context(editor).map { Unmanaged<LineEditor>.fromOpaque($0).takeUnretainedValue() }
    }

    /// Waits for a line, without its end.
    func read(_ text: String) -> Input {
        free(prompt)
        prompt = strdup(text)
        wasBroken = false
        var count: Int32 = 0
        el_resize(editor)
        // Before the prompt stands there: the library would show it first, and a key that comes then would be the terminal's own.
        clineedit_prepare(editor)
        let line = el_gets(editor, &count)
        if wasBroken { return .broken }
        guard let line, count > 0 else { return .ended }
        let bytes = UnsafeRawBufferPointer(start: line, count: Int(count))
        return .line(String(decoding: bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...], as: UTF8.self))
    }

    /// Lets the arrow keys find a line.
    func remember(_ line: String) { clineedit_remember(history, line) }

    private func breakLine() -> UInt8 {
        wasBroken = true
        Output.write("\(Self.interruptKey)\n")
        return UInt8(CC_NEWLINE)
    }

    // MARK: The tab key

    private func completeWord() -> UInt8 {
        guard let line = el_line(editor)?.pointee, let begin = line.buffer, let cursor = line.cursor, let end = line.lastchar
        else {
            return UInt8(CC_ERROR)
        }
        func text(_ from: UnsafePointer<CChar>, _ to: UnsafePointer<CChar>) -> String {
            String(decoding: UnsafeRawBufferPointer(start: from, count: max(0, to - from)), as: UTF8.self)
        }
        let offer = complete(text(begin, cursor), text(cursor, end))
        guard let first = offer.candidates.first else { return UInt8(CC_REFRESH_BEEP) }
        let common = offer.candidates.reduce(first) { $0.lowercased().commonPrefix(with: $1.lowercased()) }
        // Candidates may differ in their case from what was typed.
        let written = String(first.prefix(common.count))
        if written.count > offer.typed.count || offer.candidates.count == 1 {
            el_deletestr(editor, Int32(offer.typed.unicodeScalars.count))
            return UInt8(el_insertstr(editor, written) == 0 ? CC_REFRESH : CC_REFRESH_BEEP)
        }
        list(offer.candidates)
        return UInt8(CC_REDISPLAY)
    }

    private func list(_ candidates: [String]) {
        let shown = candidates.prefix(Self.listedMax)
        let width = (shown.map(\.columns).max() ?? 0) + 2
        let inLine = max(1, Output.terminalWidth / width)
        var text = "\n"
        for (index, candidate) in shown.enumerated() {
            text += candidate.printable.padding(toLength: width, withPad: " ", startingAt: 0)
            if index % inLine == inLine - 1 { text += "\n" }
        }
        if candidates.count > shown.count { text += "… and \(candidates.count - shown.count) more" }
        Output.write(text.hasSuffix("\n") ? text : text + "\n")
    }
}
