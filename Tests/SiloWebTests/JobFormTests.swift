import Protobuf
import SiloAPI
import SiloCore
import Testing

@testable import SiloWeb

/// What pages of jobs say and take.
@Suite(.timeLimit(.minutes(10))) struct JobFormTests {
    @Test func aJobIsNamedInAFormWhateverItIsCalled() {
        for (tenant, id) in [(nil, "a"), ("t", "a:b:c"), ("t:1:x", ""), ("👩‍👩‍👧", "é:1"), (nil, "1:2:3")] as [(String?, String)] {
            let key = JobKey(shard: "s", tenant: tenant, id: id)
            #expect(JobKey(key.text) == key)
        }
        for text in ["", "a", "a:b:c", "s:-1:x", "s:99:x", "s:1"] { #expect(JobKey(text) == nil) }
    }

    @Test func aFilterIsTheSameInItsAddress() throws {
        var fields: [(name: String, value: String)] = []
        for (name, value) in [
            ("tenant", "a b"), ("status", "Failed"), ("group", "g"), ("label", "k=v=w"), ("label", "x="), ("limit", "l"),
            ("code", "C"),
            ("since", "1h"), ("before", "12"),
        ] { fields.append((name, value)) }
        let filter = try JobFilterForm(Form(fields))
        #expect(filter.given.map { "\($0.0)=\($0.1)" } == fields.map { "\($0.name)=\($0.value)" })
        let request = filter.request(at: .init(10_000_000))
        #expect(request.metadata.count == 2 && request.metadata["k"] == "v=w" && request.metadata["x"] == "")
        #expect(request.changedFromMs == 6_400_000 && request.changedBeforeMs == 12 && request.errorCode == "C")
        for bad in [("status", "Odd"), ("since", "1y"), ("label", "x"), ("before", "soon")] {
            #expect(throws: PageFailure.self) { try JobFilterForm(Form([(name: bad.0, value: bad.1)])) }
        }
    }

    @Test func aConditionIsAboutTheSameJobs() throws {
        func condition(_ fields: (String, String)...) throws -> String {
            try JobFilterForm(Form(fields.map { (name: $0.0, value: $0.1) })).condition(at: .init(10_000_000))
        }
        #expect(try condition() == "true")
        #expect(try condition(("status", "Failed"), ("code", "it's")) == "status_kind = 'Failed' AND error_code = 'it''s'")
        #expect(
            try condition(("limit", "a\"\\\n\u{1}'é")) == #"contains(limits, '{"key":"a\"\\\n\u0001''é","limit_type":')"#)
        #expect(try condition(("label", "k=v=w")) == "array_contains(element_at(metadata, 'k'), 'v=w')")
        #expect(
            try condition(("since", "1h"), ("before", "12")) == "status_changed_at_ms >= 6400000 AND status_changed_at_ms < 12")
        // What was shown is what is done, however long somebody thought.
        #expect(try condition(("since", "1h"), ("from", "7")) == "status_changed_at_ms >= 7")
        let late = try JobFilterForm(Form([(name: "since", value: "1h")])).bounds(at: .init(10_000_000))
        #expect(late.map { "\($0.0)=\($0.1)" } == ["from=6400000", "before=10000001"])
    }

    @Test func noCodeIsACondition() throws {
        let none = try JobFilterForm(Form([(name: "nocode", value: "1"), (name: "code", value: "")]))
        #expect(none.code == "" && none.condition(at: .init(0)) == "error_code = ''")
        #expect(none.request(at: .init(0)).errorCode == "")
        #expect(none.given.map { "\($0.0)=\($0.1)" } == ["nocode=1"] && none.words.text == "that failed without a code")
        let any = try JobFilterForm(Form([(name: "code", value: "")]))
        #expect(any.code == nil && any.isEmpty && any.request(at: .init(0)).errorCode == nil)
        #expect(try JobFilterForm(Form([(name: "code", value: "C"), (name: "nocode", value: "1")])).code == "C")
    }

    @Test func timesOfControlsAreUTC() throws {
        for (text, milliseconds) in [
            ("2026-03-01T13:00", 1_772_370_000_000), ("2024-02-29T23:59:59", 1_709_251_199_000),
            ("1969-12-31T23:59:59.999", -1), ("1970-01-01T00:00", 0), ("1600-01-01T00:00", -11_676_096_000_000),
            ("9999-12-31T23:59:59.999", 253_402_300_799_999),
        ] as [(String, Int64)] {
            #expect(LocalTime.milliseconds(text) == milliseconds && LocalTime.text(milliseconds) == text, "\(text)")
        }
        #expect(LocalTime.milliseconds("2026-03-01T13:00:00.25") == 1_772_370_000_250)
        for bad in [
            "", "soon", "2026-02-30T13:00", "2026-03-01", "2026-03-01T25:00", "2026-03-01T13:00Z", "2026-03-01 13:00",
            "1582-10-10T00:00",
        ] { #expect(LocalTime.milliseconds(bad) == nil, "\(bad)") }
        for never in [.min, -11_676_096_000_001, 253_402_300_800_000, .max] as [Int64] { #expect(LocalTime.text(never) == nil) }
        let span = try JobFilterForm(Form([(name: "from", value: "1970-01-01T00:01"), (name: "before", value: "61000")]))
        #expect(span.from == 60_000 && span.before == 61_000)
        #expect(span.words.text == "that changed from 1970-01-01T00:01 UTC and before 1970-01-01T00:01:01 UTC")
        let controls = HTML(joining: FilterBar.times(span)).text
        #expect(controls.contains("name=\"from\" value=\"1970-01-01T00:01\""))
        #expect(controls.contains("name=\"before\" value=\"1970-01-01T00:01:01\""))
        let odd = try JobFilterForm(Form([(name: "from", value: "\(Int64.min)")]))
        #expect(HTML(joining: FilterBar.times(odd)).text.contains("type=\"hidden\" name=\"from\" value=\"\(Int64.min)\""))
    }

    @Test func aJobHasOneValueOfALabel() throws {
        let same = try JobFilterForm(Form([(name: "label", value: "a=1"), (name: "label", value: "a=1")]))
        #expect(same.labels == ["a=1"])
        #expect(throws: PageFailure.self) {
            try JobFilterForm(Form([(name: "label", value: "a=1"), (name: "label", value: "a=2")]))
        }
    }

    /// The tags taken out, as somebody copies it.
    private func text(_ html: HTML) -> String {
        var text = ""
        var isTag = false
        for letter in html.text {
            if letter == "<" { isTag = true } else if letter == ">" { isTag = false } else if !isTag { text.append(letter) }
        }
        let quoted = text.replacing("&quot;", with: "\"").replacing("&lt;", with: "<").replacing("&gt;", with: ">")
        return quoted.replacing("&amp;", with: "&")
    }

    @Test func aTreeIsJSONAsItStands() {
        var tree = JSONTree()
        let value = MessagePack.map([
            (.text("a\"<b>"), .array([.int(-1), .double(0.5), .null, .bool(true)])), (.int(7), .text("line\n\u{202e}\u{1}")),
            (.text("e"), .map([])),
        ])
        #expect(text(tree.html(value)) == #"{"a\"<b>": [-1,0.5,null,true],"7": "line\n\u202e\u0001","e": {}}"#)
        #expect(!tree.isCut)
    }

    @Test func whatIsLongOrVeryMuchIsCutOff() {
        let long = MessagePack.text(String(repeating: "x", count: 1 << 20))
        let many = MessagePack.array(Array(repeating: .int(1), count: 100_000))
        var deep = MessagePack.null
        for _ in 0..<60 { deep = .array([deep]) }
        for value in [long, many, .array(Array(repeating: long, count: 100)), .array(Array(repeating: deep, count: 10_000))] {
            var tree = JSONTree()
            #expect(tree.html(value).bytes.count < 200_000 && tree.isCut)
            var outline = MessagePackOutline()
            #expect(outline.text(value).utf8.count < 200_000 && outline.isCut)
        }
    }

    @Test func bytesAreShownInLinesOfSixteen() {
        let dump = Hex.dump(Array("0123456789abcdef\u{0}<".utf8)[...])
        #expect(dump == """
            000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef
            000010  00 3c                                            .<

            """)
    }
}
