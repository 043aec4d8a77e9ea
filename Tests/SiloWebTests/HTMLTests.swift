import SiloAPI
import Testing

@testable import SiloWeb

@Suite(.timeLimit(.minutes(10))) struct HTMLTests {
    @Test(arguments: [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"), ("a & b", "a &amp; b"),
        ("\" onload='x'", "&quot; onload=&#39;x&#39;"), ("a\0b", "a\u{FFFD}b"), ("naïve 🙂", "naïve 🙂"), ("", ""),
    ])
    func `what is interpolated is escaped`(value: String, expected: String) {
        let piece: HTML = "<p title=\"\(value)\">\(value)</p>"
        #expect(piece.text == "<p title=\"\(expected)\">\(expected)</p>")
    }

    @Test func `jobs that cannot be read are named, the first of them`() {
        let jobs = (0..<12).map { number in
            var job = SiloV1.ListedJob()
            (job.id, job.tenant) = ("<\(number)>", number == 0 ? "t" : nil)
            return job
        }
        #expect(UnreadableJobs(jobs: []).html.isEmpty)
        let one = UnreadableJobs(jobs: [jobs[0]]).html.text
        #expect(one.contains("1 job cannot be read</b> and is not shown") && one.contains(">t/&lt;0&gt;<"))
        let all = UnreadableJobs(jobs: jobs).html.text
        #expect(all.contains("12 jobs cannot be read</b> and are not") && all.contains("&lt;9&gt;") && all.contains(", …"))
        #expect(!all.contains("&lt;10&gt;"))
    }

    @Test func `pieces are put in as they are, and nothing for none`() {
        let name = "<b>"
        let inner: HTML = "<i>\(name)</i>"
        let none: HTML? = nil
        let piece: HTML = "\(inner)\(none)\([inner, inner])\(7)"
        #expect(piece.text == "<i>&lt;b&gt;</i><i>&lt;b&gt;</i><i>&lt;b&gt;</i>7")
    }

    @Test func `a text that looks like markup is none`() {
        let text = "<b>"
        let chosen = text.isEmpty ? "<i>" : "<u>"
        #expect(("\(chosen)" as HTML).text == "&lt;u&gt;")
    }

    @Test(arguments: [
        ("plain", "plain"), ("\u{202E}gnp", "⟨U+202E⟩gnp"), ("a\u{200B}b", "a⟨U+200B⟩b"), ("tab\t", "tab⟨U+9⟩"), ("ÄÖ 漢", "ÄÖ 漢"),
    ])
    func `invisible characters of names are shown as numbers`(name: String, expected: String) {
        #expect(Name.visible(name) == expected)
    }

    @Test func `a long name is shortened, and whole on hover`() {
        let name = String(repeating: "x", count: 500)
        let text = Name(name).html.text
        #expect(text.contains("title=\"\(name)\""))
        #expect(text.contains(">" + String(repeating: "x", count: 60) + "…"))
    }

    @Test func `addresses are encoded, and lead nowhere else`() {
        #expect(Link("/job", [("id", "a&b=c d/é"), ("tenant", nil), ("x", "")]).text == "/job?id=a%26b%3Dc%20d%2F%C3%A9")
        #expect(Link("//evil.example/x").text == "/evil.example/x")
        #expect(Link("javascript:alert(1)").text == "/javascript%3Aalert%281%29")
        #expect(Link(local: "/jobs?x=1")?.text == "/jobs?x=1")
        let long = "/" + String(repeating: "a", count: 5000)
        for text in ["//evil.example", "https://x", "/\\evil", "x", "", "/a b", "/a\nb", long] {
            #expect(Link(local: text) == nil)
        }
    }
}

@Suite(.timeLimit(.minutes(10))) struct QuantityTests {
    @Test func `counts have commas`() {
        let numbers = [0, 7, 999, 1000, 1_234_567, -12_345]
        #expect(numbers.map { Quantity.count($0) } == ["0", "7", "999", "1,000", "1,234,567", "−12,345"])
    }

    @Test func `short numbers have three digits and a unit`() {
        let numbers: [Double] = [0, 0.256, 1, 9.994, 9.996, 12.34, 99.96, 999.4, 999.6, 12_345, 4_560_000, .nan]
        #expect(numbers.map(Quantity.short) == [
            "0", "0.26", "1", "9.99", "10", "12.3", "100", "999", "1 k", "12.3 k", "4.56 M", "–",
        ])
    }

    @Test func `lengths of time have the unit that suits them`() {
        let lengths: [Double] = [0, 1, 999, 1000, 12_340, 99_960, 5_400_000, 172_800_000]
        #expect(lengths.map { Quantity.duration(milliseconds: $0) } == [
            "0 ms", "1 ms", "999 ms", "1 s", "12.3 s", "1.67 min", "1.5 h", "2 d",
        ])
        #expect(Quantity.bytes(1536) == "1.5 KiB" && Quantity.bytes(12) == "12 B")
        #expect(Quantity.of(1, "job") == "1 job" && Quantity.of(2000, "job") == "2,000 jobs")
    }
}
