import SiloCore

/// A MessagePack string of up to 65,535 bytes: the server's own error data is one (spec/api.md 2.7).
func messagePack(_ text: String) -> Bytes {
    let utf8 = Array(text.utf8.prefix(Int(UInt16.max)))
    return [0xda, UInt8(utf8.count >> 8), UInt8(utf8.count & 0xff)] + utf8
}
