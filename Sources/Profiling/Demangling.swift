import Foundation

/// Names of functions as people write them: of Swift, of C++ and of Rust.
enum Demangling {
    static func name(of symbol: String) -> String {
        if symbol.hasPrefix("$s") || symbol.hasPrefix("$S") || symbol.hasPrefix("_$s") {
            return swift(symbol) ?? symbol
        }
        guard symbol.hasPrefix("_Z") else { return symbol }
        return withoutRustHash(cxx(symbol) ?? symbol)
    }

    private static func swift(_ symbol: String) -> String? {
        guard let text = swiftDemangle(symbol, UInt(symbol.utf8.count), nil, nil, 0) else { return nil }
        defer { free(text) }
        return String(cString: text)
    }

    private static func cxx(_ symbol: String) -> String? {
        var status: Int32 = 0
        guard let text = cxaDemangle(symbol, nil, nil, &status) else { return nil }
        defer { free(text) }
        return String(cString: text)
    }

    /// Rust ends a name with `::h` and sixteen digits.
    private static func withoutRustHash(_ name: String) -> String {
        let tail = name.suffix(19)
        let isHash = tail.count == 19 && tail.hasPrefix("::h") && tail.dropFirst(3).allSatisfy(\.isHexDigit)
        return isHash ? String(name.dropLast(19)) : name
    }
}

/// Of Swift's runtime, which has it for its own messages; the result is the caller's to free.
@_silgen_name("swift_demangle")
private func swiftDemangle(
    _ name: UnsafePointer<CChar>, _ length: UInt, _ output: UnsafeMutablePointer<CChar>?, _ size: UnsafeMutablePointer<UInt>?,
    _ flags: UInt32
) -> UnsafeMutablePointer<CChar>?

/// Of the C++ runtime.
@_silgen_name("__cxa_demangle")
private func cxaDemangle(
    _ name: UnsafePointer<CChar>, _ output: UnsafeMutablePointer<CChar>?, _ size: UnsafeMutablePointer<UInt>?,
    _ status: UnsafeMutablePointer<Int32>
) -> UnsafeMutablePointer<CChar>?
