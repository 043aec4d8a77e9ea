import Testing

@testable import SiloConfiguration

/// One meaning of `max_data`, wherever it is said.
@Suite(.timeLimit(.minutes(10))) struct DataLimitTests {
    @Test(arguments: [
        ("auto", .standard), ("off", .off), ("1%", .percent(1)), ("99%", .percent(99)), ("200GiB", .bytes(200 << 30)),
        ("1GiB512MiB", .bytes(1536 << 20)), ("1073741824", .bytes(1 << 30)), ("1MiB", .bytes(1 << 20)),
        ("2MB", .bytes(2_000_000)), ("", nil), ("0%", nil), ("100%", nil), ("+5%", nil), ("%", nil), ("1.5GiB", nil),
        ("1GiB5", nil), ("1048575", nil), ("-1GiB", nil), ("9223372036854775807TiB", nil), ("99999999999999999999", nil),
        ("lots", nil), ("1 GiB", nil),
    ] as [(String, DataLimit?)])
    func means(text: String, limit: DataLimit?) throws {
        #expect(DataLimit(text) == limit)
        let mistakes = try Loading.mistakes("[database]\nbackend = \"memory\"\nmax_data = \"\(text)\"")
        #expect(mistakes.isEmpty == (limit != nil), "a file takes what an option takes: \(mistakes)")
    }
}
