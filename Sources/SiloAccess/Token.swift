/// A token as callers show it: `silo_` and 256 bits of chance. The prefix lets scanners find one that was published by mistake.
public enum Token {
    public static let prefix = "silo_"

    /// - Parameter random: of the system, which nobody can foresee.
    public static func make(from random: inout some RandomNumberGenerator) -> String {
        prefix + base64URL((0..<32).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }

    /// RFC 4648, section 5, without padding.
    private static func base64URL(_ bytes: [UInt8]) -> String {
        let digits = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var text = ""
        var (bits, count) = (0, 0)
        for byte in bytes {
            bits = bits << 8 | Int(byte)
            count += 8
            while count >= 6 {
                count -= 6
                text.append(digits[bits >> count & 63])
            }
        }
        if count > 0 { text.append(digits[bits << (6 - count) & 63]) }
        return text
    }
}
