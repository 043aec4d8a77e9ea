import SiloCore

/// Numbers as people read them, with their units.
enum Quantity {
    /// 1,234,567.
    static func count(_ number: some BinaryInteger) -> String { Counted.grouped(number, minus: "−") }

    /// 987, 12.3 k, 4.56 M: three digits.
    static func short(_ number: Double) -> String {
        let size = abs(number)
        for (bound, factor, unit) in [(999.5, 1.0, ""), (999_500, 1e3, " k"), (999_500_000, 1e6, " M"), (.infinity, 1e9, " G")]
        where size < bound {
            return digits(number / factor) + unit
        }
        return digits(number)
    }

    /// Of something in a second: 0.25, 12.3, 4.56 k.
    static func rate(_ number: Double) -> String { short(number) + "/s" }

    /// 850 µs is not measured: 1 ms, 12.3 s, 4.5 min, 2.1 h, 3.4 d.
    static func duration(milliseconds: Double) -> String {
        for (bound, factor, unit) in [
            (999.5, 1.0, "ms"), (99_950, 1000, "s"), (5_400_000, 60_000, "min"), (172_800_000, 3_600_000, "h"),
            (.infinity, 86_400_000, "d"),
        ] where abs(milliseconds) < bound {
            return digits(milliseconds / factor) + " " + unit
        }
        return digits(milliseconds) + " ms"
    }

    static func bytes(_ count: some BinaryInteger) -> String {
        var size = Double(count)
        for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
            if abs(size) < 1000 { return digits(size) + " " + unit }
            size /= 1024
        }
        return digits(size) + " PiB"
    }

    /// One and its plural: 1 job, 2 jobs.
    static func of(_ number: some BinaryInteger, _ one: String, _ many: String? = nil) -> String {
        Counted.text(number, one, many)
    }

    /// Three that mean something, no zeros behind the point.
    private static func digits(_ number: Double) -> String {
        guard number.isFinite else { return "–" }
        let size = abs(number)
        let decimals = size >= 99.95 || size == 0 ? 0 : size >= 9.995 ? 1 : 2
        let scale = decimals == 0 ? 1.0 : decimals == 1 ? 10 : 100
        let whole = Int64((size * scale).rounded())
        let (units, rest) = (whole / Int64(scale), whole % Int64(scale))
        var text = String(units)
        if rest > 0 {
            var fraction = String(rest)
            while fraction.count < decimals { fraction = "0" + fraction }
            while fraction.hasSuffix("0") { fraction.removeLast() }
            text += "." + fraction
        }
        return number < 0 && whole > 0 ? "−" + text : text
    }
}
