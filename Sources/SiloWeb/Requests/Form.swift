/// The fields of a form or a query, decoded, in order.
struct Form: Sendable {
    let fields: [(name: String, value: String)]

    static let tokenField = "form"
    static let bytesMax = 256 << 10
    private static let fieldsMax = 2048

    init(_ fields: [(name: String, value: String)]) { self.fields = fields }

    /// `application/x-www-form-urlencoded`; nil when it is none, or has too many fields.
    init?(_ body: [UInt8], type: String?) {
        guard type?.lowercased().hasPrefix("application/x-www-form-urlencoded") == true else { return nil }
        let pairs = body.split(separator: UInt8(ascii: "&"), maxSplits: Self.fieldsMax, omittingEmptySubsequences: true)
        guard pairs.count <= Self.fieldsMax else { return nil }
        fields = pairs.map { pair in
            let parts = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            return (Self.decoded(parts[0]), parts.count > 1 ? Self.decoded(parts[1]) : "")
        }
    }

    /// The first value of that name; nil when there is none, or nothing in it.
    subscript(name: String) -> String? {
        fields.first { $0.name == name }.flatMap { $0.value.isEmpty ? nil : $0.value }
    }

    /// It is there, though perhaps with nothing in it.
    func has(_ name: String) -> Bool { fields.contains { $0.name == name } }

    /// All of them.
    func all(_ name: String) -> [String] { fields.filter { $0.name == name }.map(\.value) }

    /// What the form itself brings, after what its address may have said.
    func last(_ name: String) -> String? { fields.last { $0.name == name }.flatMap { $0.value.isEmpty ? nil : $0.value } }

    /// What has to be there.
    func required(_ name: String) throws(PageFailure) -> String {
        guard let value = self[name] else { throw PageFailure(400, "Something is missing", "The field \(name) is required.") }
        return value
    }

    /// What a page is about, such as a limit; where it is not named the visitor is shown to the list of all.
    func subject(_ name: String, _ kind: String, in list: String) throws(PageFailure) -> String {
        if let value = self[name] { return value }
        throw PageFailure(
            400, "No \(kind) is named", "This page is about one \(kind): choose it in the list.",
            way: ("Show all \(kind)s", Link(list)))
    }

    /// Without what forms add to it.
    var given: [(String, String)] {
        fields.filter { $0.name != Self.tokenField }.map { ($0.name, $0.value) }
    }

    private static func decoded(_ text: ArraySlice<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
                    bytes.append(byte)
                    continue
                }
                bytes.append(value)
                rest = rest.dropFirst(2)
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
