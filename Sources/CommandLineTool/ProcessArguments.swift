import Foundation

/// What this process was started with, without its own name.
enum ProcessArguments {
    /// - Throws: when one is not UTF-8: what would be put in place of its bytes is another name.
    static func all() throws(Arguments.Mistake) -> [String] {
        let known = CommandLine.arguments
        let all = known.count > 1 ? known : kernels.map { String(decoding: $0, as: UTF8.self) }
        // Most have none of what stands in for bytes that are no text, and then need no second look.
        guard all.contains(where: { $0.unicodeScalars.contains("\u{fffd}") }) else { return Array(all.dropFirst()) }
        for (index, bytes) in kernels.enumerated() where String(validating: bytes, as: UTF8.self) == nil {
            throw Arguments.Mistake("argument \(index) is not in UTF-8: \(String(decoding: bytes, as: UTF8.self))")
        }
        return Array(all.dropFirst())
    }

    /// Swift's library, linked into a program, looks for the arguments beside the environment, and finds none when a library that
    /// was loaded earlier has moved that.
    private static var kernels: [ArraySlice<UInt8>] {
        let file = FileHandle(forReadingAtPath: "/proc/self/cmdline")
        let bytes = [UInt8]((try? file?.readToEnd()) ?? Data())
        // Each ends with a zero.
        return bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast()
    }
}
