import Foundation

/// The programs and libraries that this process has in memory, by address.
package struct MappedFiles {
    package struct Mapping {
        package let start: UInt64
        package let end: UInt64
        package let fileOffset: UInt64
        package let path: String
    }
    /// Those that can be run, by address.
    package let mappings: [Mapping]
    private var symbols: [String: SymbolTable] = [:]

    package static func ofThisProcess() -> MappedFiles {
        // The kernel gives it in parts, and says that its size is none.
        let maps = try? FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/maps")).readToEnd()
        return MappedFiles(String(decoding: maps ?? Data(), as: UTF8.self))
    }

    /// - Parameter text: lines as /proc/PID/maps has them: `start-end perms offset device inode path`.
    package init(_ text: String) {
        mappings = text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
            guard fields.count == 6, fields[1].contains("x") else { return nil }
            let range = fields[0].split(separator: "-")
            guard range.count == 2, let start = UInt64(range[0], radix: 16), let end = UInt64(range[1], radix: 16),
                let offset = UInt64(fields[2], radix: 16)
            else { return nil }
            return Mapping(start: start, end: end, fileOffset: offset, path: fields[5].trimmingCharacters(in: .whitespaces))
        }
    }

    /// The place of the mapping that holds an address; nil: none does.
    package func index(of address: UInt64) -> Int? {
        mappings.firstIndex { $0.start <= address && address < $0.end }
    }

    /// The name of the function there, as the linker knows it.
    package mutating func symbol(at address: UInt64, in mapping: Int) -> String? {
        let mapping = mappings[mapping]
        guard mapping.path.hasPrefix("/") else { return nil }
        let table = symbols[mapping.path] ?? SymbolTable(ofFile: mapping.path)
        symbols[mapping.path] = table
        return table.name(atFileOffset: address - mapping.start + mapping.fileOffset)
    }
}
