import SiloCore
import Testing

@testable import SiloAccess

@Suite(.timeLimit(.minutes(10))) struct TokensFileTests {
    private let hash = TokenHash(of: "silo_a".utf8)
    private let other = TokenHash(of: "silo_b".utf8)

    private func mistakes(_ text: String, tenancy: Bool = true) -> [String] {
        do throws(TokensFile.Mistakes) {
            _ = try TokensFile(text, tenancy: tenancy)
            return []
        } catch {
            return error.all
        }
    }

    @Test func whatIsWrittenIsRead() throws {
        let grants = [
            Grant(name: "ci \"x\"\\", holder: .token(hash), roles: [.enqueue, .read]),
            Grant(
                name: "billing", holder: .certificate("CN=billing,O=Acme"), roles: [.operate], tenants: ["acme", "日本"],
                groups: ["mail"], expires: Timestamp(1_800_000_000_000),
                limits: Allowance.Limits(requestsPerSecond: 1, bytesPerSecond: 1_000_000)
            ),
        ]
        let text = "# who may call\r\n\n" + grants.map { $0.line + "\n" }.joined()
        #expect(try TokensFile(text).grants == grants)
        let windows = grants.map { $0.line + "\r\n" }.joined()
        #expect(try TokensFile(windows).grants == grants)
    }

    @Test("a time that no number of milliseconds can tell is a mistake", arguments: [
        "292277026597-01-01T00:00:00Z", "999999999999999999-01-01T00:00:00Z", "+300000000-01-01T00:00:00Z",
    ])
    func farTimes(time: String) {
        let found = mistakes(#"{"name":"a","hash":"\#(hash)","roles":["read"],"expires":"\#(time)"}"# + "\n")
        #expect(found.count == 1 && found[0].contains("expires must be a time"), "\(found)")
    }

    @Test func namesThatLookAlikeAreTwo() throws {
        let grants = [("\u{e9}", hash), ("e\u{301}", other)].map { Grant(name: $0, holder: .token($1), roles: [.read]) }
        #expect(mistakes(grants.map { $0.line + "\n" }.joined()) == [])
    }

    @Test func allMistakesAreToldAtOnceEachWithItsLine() {
        let found = mistakes(
            """
            {"name":"a","hash":"\(hash)","roles":["enqueue"]}
            {"name":"a","hash":"\(hash)","roles":["read"]}
            nonsense
            {"name":"","roles":["boss"],"tenant":["x"],"tenants":[],"expires":"soon","requests_per_second":true}
            {"name":"x","hash":"\(other)","roles":["read"],"bytes_per_second":0}

            """)
        let expected = [
            "line 2: the name is that of line 1", "line 2: the hash is that of line 1", "line 3: it is no JSON object",
            "line 4: tenant is no key", "line 4: name must be", "line 4: one of hash and certificate is needed",
            "line 4: boss is no role", "line 4: tenants must be a list", "line 4: expires must be a time",
            "line 4: requests_per_second must be", "line 5: bytes_per_second must be",
        ]
        #expect(found.count == expected.count, "\(found)")
        for (mistake, start) in zip(found, expected) { #expect(mistake.hasPrefix(start), "\(mistake)") }
    }

    @Test func whatMayBeHalfWrittenIsNotRead() throws {
        let line = Grant(name: "a", holder: .token(hash), roles: [.read]).line
        let text = line + "\n" + Grant(name: "b", holder: .token(other), roles: [.read]).line + "\n"
        #expect(try TokensFile(text).grants.count == 2)
        for count in 0..<text.utf8.count where count != line.utf8.count + 1 {
            #expect(!mistakes(String(decoding: text.utf8.prefix(count), as: UTF8.self)).isEmpty, "\(count) bytes of it")
        }
        #expect(mistakes("") == ["it names no token: with that nobody could call"])
    }

    @Test func tenantsNeedTenancy() throws {
        let line = Grant(name: "a", holder: .token(hash), roles: [.read], tenants: ["acme"]).line + "\n"
        #expect(mistakes(line).isEmpty)
        #expect(mistakes(line, tenancy: false).first?.contains("without tenancy") == true)
    }
}

@Suite(.timeLimit(.minutes(10))) struct TokenTests {
    @Test("FIPS 180-2, appendix B.1") func theHashIsSHA256() {
        let hash = TokenHash(of: "abc".utf8)
        #expect("\(hash)" == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(TokenHash("\(hash)") == hash)
        #expect(TokenHash(of: "abd".utf8) != hash)
        for text in ["", "sha256:", "sha256:ba78", "\(hash)0", "\(hash)".uppercased(), "\(hash)".replacing("7", with: "é")] {
            #expect(TokenHash(text) == nil, "\(text)")
        }
    }

    @Test func noTwoTokensAreTheSame() {
        var random = SystemRandomNumberGenerator()
        let tokens = Set((0..<1000).map { _ in Token.make(from: &random) })
        #expect(tokens.count == 1000)
        #expect(tokens.allSatisfy { $0.wholeMatch(of: /silo_[A-Za-z0-9_-]{43}/) != nil })
        var zero = Zero()
        #expect(Token.make(from: &zero) == "silo_" + String(repeating: "A", count: 43))
    }

    private struct Zero: RandomNumberGenerator { mutating func next() -> UInt64 { 0 } }
}
