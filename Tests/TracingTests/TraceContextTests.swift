import Testing

@testable import SiloTelemetry

/// The header as the recommendation has it: https://www.w3.org/TR/trace-context/#traceparent-header
@Suite(.timeLimit(.minutes(10))) struct TraceContextTests {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let span = "b7ad6b7169203331"

    @Test(arguments: [
        ("00-\(trace)-\(span)-01", true),
        ("00-\(trace)-\(span)-00", false),
        // Bits that are not known yet mean nothing here.
        ("00-\(trace)-\(span)-03", true), ("00-\(trace)-\(span)-fe", false), ("00-\(trace)-\(span)-ff", true),
        // A later version is read as far as it is known.
        ("01-\(trace)-\(span)-01", true), ("cc-\(trace)-\(span)-01-what-comes-later", true), ("fe-\(trace)-\(span)-00-", false),
    ])
    func whatIsValidIsRead(header: String, isSampled: Bool) throws {
        let context = try #require(TraceContext(header))
        #expect("\(context.trace)" == Self.trace && "\(context.span)" == Self.span && context.isSampled == isSampled)
        #expect(context.header == "00-\(Self.trace)-\(Self.span)-0\(isSampled ? 1 : 0)")
    }

    @Test(arguments: [
        "", "00", "-", "00-\(trace)-\(span)", "00-\(trace)-\(span)-", "00-\(trace)-\(span)-1", "00-\(trace)-\(span)-0g",
        // Versions.
        "ff-\(trace)-\(span)-01", "0-\(trace)-\(span)-01", "0x-\(trace)-\(span)-01", "FE-\(trace)-\(span)-01",
        ".0-\(trace)-\(span)-01", "000-\(trace)-\(span)-01",
        // The known version has nothing behind its flags, and a later one a dash.
        "00-\(trace)-\(span)-01-", "00-\(trace)-\(span)-01-x", "00-\(trace)-\(span)-01x", "01-\(trace)-\(span)-01x",
        // Names of nothing, of a wrong length, of wrong digits.
        "00-00000000000000000000000000000000-\(span)-01", "00-\(trace)-0000000000000000-01",
        "00-\(trace.uppercased())-\(span)-01", "00-\(trace)-\(span.uppercased())-01", "00-\(trace)-\(span)-0A",
        "00-\(trace.dropLast())-\(span)-01", "00-\(trace)0-\(span)-01", "00-\(trace)-\(span.dropLast())-01",
        "00-\(trace)-\(span)0-01", "00-\(trace.dropLast()).-\(span)-01", "00-\(trace)-\(span.dropLast()) -01",
        // Dashes elsewhere, spaces, two values.
        "00_\(trace)-\(span)-01", "00-\(trace)_\(span)-01", "00-\(trace)-\(span)_01", " 00-\(trace)-\(span)-01",
        "00-\(trace)-\(span)-01 ", "00-\(trace)-\(span)-01,00-\(trace)-\(span)-01", "00-\(trace)-\(span)-é",
    ])
    func whatIsNotValidIsNone(header: String) {
        #expect(TraceContext(header) == nil)
    }

    private static func many(_ letter: String, _ count: Int) -> String { String(repeating: letter, count: count) }

    @Test(arguments: [
        ("a=1", "a=1"), (" a=1 ,\tb-_*/9=x y , ,c@d=!~ ", "a=1,b-_*/9=x y,c@d=!~"), ("9a@b=1", "9a@b=1"), ("", ""),
        // None of it counts where something is not valid.
        ("a=1,b", ""), ("A=1", ""), ("9a=1", ""), ("a=", ""), ("a=1=2", ""), ("a=é", ""), ("a@b@c=1", ""), ("a=1,a=2", ""),
        ("=1", ""), ("a=1\u{7f}", ""), ("\(String(repeating: "a", count: 257))=1", ""),
        ((0...32).map { "k\($0)=1" }.joined(separator: ","), ""),
        // What is too much goes: the long ones, then those at the end.
        ("a=1,b=\(many("x", 200)),c=\(many("y", 250)),d=\(many("z", 100))", "a=1,b=\(many("x", 200)),d=\(many("z", 100))"),
        (
            (0..<10).map { "k\($0)=\(many("x", 60))" }.joined(separator: ","),
            (0..<8).map { "k\($0)=\(many("x", 60))" }.joined(separator: ",")
        ),
    ])
    func stateIsPassedAlongAsFarAsItIsValid(header: String, state: String) throws {
        let context = try #require(TraceContext("00-\(Self.trace)-\(Self.span)-01", state: header))
        #expect(context.state == state)
        #expect(TraceContext(storedBytes: context.storedBytes) == context)
    }

    /// Not one of the arguments above: these are printed, and this is 4 MiB.
    @Test func aStateOfMebibytesIsNone() throws {
        let state = String(repeating: "a=1,", count: 1 << 20)
        #expect(try #require(TraceContext("00-\(Self.trace)-\(Self.span)-01", state: state)).state.isEmpty)
    }

    @Test func whatIsStoredIsReadAgain() throws {
        let context = try #require(TraceContext("00-\(Self.trace)-\(Self.span)-01"))
        #expect(context.storedBytes.count == 24 && TraceContext(storedBytes: context.storedBytes) == context)
        for bytes: [UInt8] in [[], Array(repeating: 0, count: 24), Array(context.storedBytes.dropLast())] {
            #expect(TraceContext(storedBytes: bytes) == nil)
        }
    }
}
