package import Foundation

/// What gperftools' profiler wrote, in its binary format: words of the machine, a header, a record for each stack, an end.
/// See docs/cpuprofile-fileformat.html of gperftools.
package struct CPUSamples {
    package struct Stack: Equatable {
        package let count: Int64
        /// From the innermost frame on: where it was, then where its callers go on.
        package let addresses: [UInt64]
    }
    package private(set) var stacks: [Stack] = []

    package init(_ data: Data) throws {
        let words = data.withUnsafeBytes { bytes in
            (0..<bytes.count / 8).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
        }
        guard words.count > 2, words[0] == 0, words[1] <= 64 else { throw Self.damaged }
        var position = 2 + Int(words[1])
        while true {
            guard position + 2 < words.count else { throw Self.damaged }
            let (count, depth) = (words[position], words[position + 1])
            // The end is a stack of no samples, with one address that is nothing.
            guard count > 0 else { return }
            guard depth > 0, depth <= 1024, position + 2 + Int(depth) <= words.count else { throw Self.damaged }
            let addresses = words[(position + 2)..<(position + 2 + Int(depth))]
            stacks.append(Stack(count: Int64(clamping: count), addresses: Array(addresses)))
            position += 2 + Int(depth)
        }
    }

    private static let damaged = ProfileError("what the profiler wrote is damaged")
}
