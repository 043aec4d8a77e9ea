/// What tracing systems pass along beside the names of trace and span: the value of a `tracestate` header (W3C Trace Context,
/// section 3.3).
/// Nobody here reads it.
enum TraceState {
    /// Bytes that are passed along.
    static let bytesMax = 512
    static let membersMax = 32
    /// Members longer than that go first where there are too many bytes.
    private static let memberBytesMax = 128

    /// What of a header is passed along; empty for one that is not valid, which counts as none.
    static func checked(_ header: some StringProtocol) -> String {
        guard header.utf8.count <= 16 * bytesMax else { return "" }
        let members = header.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
            .map { $0.trimmed }.filter { !$0.isEmpty }
        let keys = members.map { Array($0.prefix { $0 != UInt8(ascii: "=") }) }
        guard members.count <= membersMax, Set(keys).count == keys.count, members.allSatisfy(isMember) else { return "" }
        return shortened(members.map { String(decoding: $0, as: UTF8.self) })
    }

    private static func isMember(_ member: [UInt8]) -> Bool {
        guard let mark = member.firstIndex(of: UInt8(ascii: "=")) else { return false }
        let (key, value) = (member[..<mark], member[(mark + 1)...])
        return isKey(key) && (1...256).contains(value.count) && value.last != UInt8(ascii: " ")
            && value.allSatisfy { (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "=") }
    }

    /// A name, or a tenant's name at a system's.
    private static func isKey(_ key: ArraySlice<UInt8>) -> Bool {
        let parts = key.split(separator: UInt8(ascii: "@"), omittingEmptySubsequences: false)
        func isName(_ name: ArraySlice<UInt8>, atMost count: Int, beginsWithDigit: Bool = false) -> Bool {
            guard let first = name.first, first.isLower || beginsWithDigit && first.isDigit else { return false }
            return name.count <= count && name.allSatisfy { $0.isLower || $0.isDigit || "_-*/".utf8.contains($0) }
        }
        switch parts.count {
        case 1: return isName(parts[0], atMost: 256)
        case 2: return isName(parts[0], atMost: 241, beginsWithDigit: true) && isName(parts[1], atMost: 14)
        default: return false
        }
    }

    /// Long members go first, then those at the end: who wrote last stands at the front.
    private static func shortened(_ members: [String]) -> String {
        var members = members
        func size() -> Int { members.reduce(members.count - 1) { $0 + $1.utf8.count } }
        while size() > bytesMax, let long = members.lastIndex(where: { $0.utf8.count > memberBytesMax }) {
            members.remove(at: long)
        }
        while size() > bytesMax { members.removeLast() }
        return members.joined(separator: ",")
    }
}

extension UInt8 {
    fileprivate var isLower: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self) }
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
    fileprivate var isSpace: Bool { self == UInt8(ascii: " ") || self == UInt8(ascii: "\t") }
}

extension Sequence<UInt8> {
    /// Without spaces and tabs at both ends.
    fileprivate var trimmed: [UInt8] { Array(drop(while: \.isSpace).reversed().drop(while: \.isSpace).reversed()) }
}
