import Foundation

/// The functions of a program or library, read from its file (ELF, 64 bits, little-endian). A file that is none, or is damaged,
/// has no functions.
package struct SymbolTable {
    private struct Function {
        let address: UInt64
        let size: UInt64
        let name: Int
    }
    private struct Segment {
        let offset: UInt64
        let size: UInt64
        let address: UInt64
    }
    private let file: Data
    private var segments: [Segment] = []
    /// By address.
    private var functions: [Function] = []

    package init(ofFile path: String) {
        file = (try? Data(contentsOf: URL(fileURLWithPath: path), options: .alwaysMapped)) ?? Data()
        guard file.starts(with: [0x7f, 0x45, 0x4c, 0x46, 2, 1]) else { return }
        segments = headers(at: 32, size: 54, count: 56).compactMap { at in
            // PT_LOAD
            guard word32(at) == 1 else { return nil }
            return Segment(offset: word64(at + 8), size: word64(at + 32), address: word64(at + 16))
        }
        let sections = headers(at: 40, size: 58, count: 60)
        // All that the linker knew (SHT_SYMTAB); where that was stripped, what others may call (SHT_DYNSYM).
        let table = sections.first { word32($0 + 4) == 2 } ?? sections.first { word32($0 + 4) == 11 }
        guard let table, Int(word32(table + 40)) < sections.count else { return }
        let names = Int(clamping: word64(sections[Int(word32(table + 40))] + 24))
        let start = Int(clamping: word64(table + 24))
        for at in stride(from: start, to: min(start &+ Int(clamping: word64(table + 32)), file.count - 23), by: 24) {
            // STT_FUNC with a place in the file.
            guard byte(at + 4) & 0xf == 2, word64(at + 8) != 0 else { continue }
            functions.append(Function(address: word64(at + 8), size: word64(at + 16), name: names &+ Int(word32(at))))
        }
        functions.sort { $0.address < $1.address }
    }

    package func name(atFileOffset offset: UInt64) -> String? {
        guard let segment = segments.first(where: { $0.offset <= offset && offset - $0.offset < $0.size }) else { return nil }
        let address = offset - segment.offset &+ segment.address
        var low = 0
        var high = functions.count
        while low < high {
            let middle = (low + high) / 2
            if functions[middle].address <= address { low = middle + 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let function = functions[low - 1]
        // Functions written in assembler may have no size.
        guard function.size == 0 || address - function.address < function.size else { return nil }
        return text(at: function.name)
    }

    // MARK: The file, in which nothing is believed

    /// Where the headers are that the file's header tells of at these places.
    private func headers(at start: Int, size: Int, count: Int) -> [Int] {
        let (start, size, count) = (Int(clamping: word64(start)), Int(word16(size)), Int(word16(count)))
        return (0..<count).map { start &+ $0 * size }.filter { $0 >= 0 && $0 < file.count }
    }

    private func byte(_ at: Int) -> UInt8 { at >= 0 && at < file.count ? file[file.startIndex + at] : 0 }
    private func word16(_ at: Int) -> UInt16 { UInt16(truncatingIfNeeded: word64(at)) }
    private func word32(_ at: Int) -> UInt32 { UInt32(truncatingIfNeeded: word64(at)) }

    /// Beyond the end of the file there are zeros.
    private func word64(_ at: Int) -> UInt64 {
        guard at >= 0, at < file.count else { return 0 }
        guard at <= file.count - 8 else {
            return (0..<file.count - at).reduce(0) { $0 | UInt64(byte(at + $1)) << UInt64(8 * $1) }
        }
        return file.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: at, as: UInt64.self) }
    }

    private func text(at start: Int) -> String? {
        guard start >= 0, start < file.count else { return nil }
        let bytes = file[(file.startIndex + start)...].prefix(4096).prefix { $0 != 0 }
        return String(decoding: bytes, as: UTF8.self)
    }
}
