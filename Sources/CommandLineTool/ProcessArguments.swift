import Foundation

/// What this process was started with, without its own name.
enum ProcessArguments {
    static var all: [String] {
        let known = CommandLine.arguments
        return Array((known.count > 1 ? known : asTheKernelHasThem).dropFirst())
    }

    /// Swift's library, linked into a program, looks for the arguments beside the environment, and finds none when a library that
    /// was loaded earlier has moved that.
    private static var asTheKernelHasThem: [String] {
        let file = FileHandle(forReadingAtPath: "/proc/self/cmdline")
        let bytes = (try? file?.readToEnd()) ?? Data()
        // Each ends with a zero.
        return bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map { String(decoding: $0, as: UTF8.self) }
    }
}
