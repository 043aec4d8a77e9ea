/// The lines of a file that is only added to, from a place in it backwards: each read has a bound, and so has what is held.
struct BackwardLines {
    enum Step: Equatable {
        /// A whole line, without its end.
        case line([UInt8])
        /// A line longer than any may be; it is passed over.
        case tooLong
        /// There are no lines before.
        case begin
        /// As much was read as may be: go on at `place` another time.
        case spent
    }
    /// Bytes of the file from an offset on: fewer than asked for only where the file ends.
    typealias Read = (_ offset: Int, _ count: Int) throws -> [UInt8]
    /// The file was cut, or is another by now.
    struct Vanished: Error {}

    private let read: Read
    private let blockBytes: Int
    private let lineBytesMax: Int
    /// Where to go on: all lines behind it were given.
    private(set) var place: Int
    /// What lies before `place` and was read: whole lines at its end, perhaps a part of one at its beginning.
    private var held: [UInt8] = []
    /// A line whose end was not seen is passed over: one that is being written, or that was too long.
    private var isSkipping: Bool

    /// - Parameter place: the end of the file, or a place where a page ended.
    init(from place: Int, blockBytes: Int = 64 << 10, lineBytesMax: Int = 256 << 10, _ read: @escaping Read) {
        self.place = place
        self.blockBytes = max(1, blockBytes)
        self.lineBytesMax = lineBytesMax
        self.read = read
        // Only the file says whether a line ends there.
        isSkipping = true
    }

    private static let lineEnd = UInt8(ascii: "\n")

    /// - Parameter budget: how many bytes may be read; it is diminished.
    mutating func next(_ budget: inout Int) throws -> Step {
        while true {
            if !isSkipping, let line = takeLine() { return .line(line) }
            let low = place - held.count
            if low == 0 { return takeFirst().map { .line($0) } ?? .begin }
            if held.count > lineBytesMax {
                pass()
                return .tooLong
            }
            guard budget > 0 else { return .spent }
            let count = min(blockBytes, low)
            let block = try read(low - count, count)
            budget -= count
            guard block.count == count else { throw Vanished() }
            held = block + held
            if isSkipping { skip() }
        }
    }

    /// The last line of what is held, when its beginning is there.
    private mutating func takeLine() -> [UInt8]? {
        guard let end = held.indices.last, let before = held[..<end].lastIndex(of: Self.lineEnd) else { return nil }
        return take(from: before + 1)
    }

    /// The first line of the file, when all of it is held.
    private mutating func takeFirst() -> [UInt8]? {
        guard !isSkipping, !held.isEmpty else { return nil }
        return take(from: 0)
    }

    private mutating func take(from start: Int) -> [UInt8] {
        let line = Array(held[start...].dropLast())
        place -= held.count - start
        held.removeLast(held.count - start)
        return line
    }

    /// Drops what is held of a line, and all of it that is still to be read.
    private mutating func pass() {
        place -= held.count
        held = []
        isSkipping = true
    }

    private mutating func skip() {
        guard let end = held.lastIndex(of: Self.lineEnd) else { return pass() }
        place -= held.count - end - 1
        held.removeLast(held.count - end - 1)
        isSkipping = false
    }
}
