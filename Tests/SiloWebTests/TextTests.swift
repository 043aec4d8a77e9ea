import Protobuf
import SQLText
import SiloAPI
import SiloCore
import Testing

@testable import SiloWeb

/// A sign is one whatever mark follows it, and texts that look alike are others.
@Suite(.timeLimit(.minutes(10))) struct TextTests {
    private static let mark = "\u{301}"
    private static let alike = ["\u{e9}", "e\u{301}"]

    private func filter(_ fields: (String, String)...) throws -> JobFilterForm {
        try JobFilterForm(Form(fields.map { (name: $0.0, value: $0.1) }))
    }

    /// `==` would not tell.
    private func isSame(_ one: String?, _ two: String) -> Bool { one?.hasSameBytes(as: two) ?? false }

    @Test func aQuoteOfAFieldOfCSVComesTwice() {
        let line = CSVLine.text(["a\"\(Self.mark),=1+1", "\"", nil])
        #expect(isSame(line, "\"a\"\"\(Self.mark),=1+1\",\"\"\"\",\r\n"))
    }

    @Test func aQuoteInAConditionComesTwice() throws {
        let condition = try filter(("group", "x'\(Self.mark) OR 1=1 --")).condition(at: .init(0))
        #expect(isSame(condition, "task_group = 'x''\(Self.mark) OR 1=1 --'"))
    }

    @Test func aJobIsNamedInAFormWhateverFollowsItsColons() {
        for (tenant, id) in [(Self.mark, "a"), (nil, "\(Self.mark):\(Self.mark)"), ("t:\(Self.mark)", ":\(Self.mark)")]
            as [(String?, String)]
        {
            let key = JobKey(shard: "s", tenant: tenant, id: id)
            let read = JobKey(key.text)
            #expect(read == key && isSame(read?.id, id))
        }
        #expect(Set(Self.alike.map { JobKey(shard: "s", tenant: nil, id: $0) }).count == 2)
    }

    @Test(arguments: [("a=b", "c"), ("=\(mark)", "=\(mark)"), ("%3D", "%3D"), ("100%", "="), ("%", ""), ("%25=", "x")])
    func aLabelIsFoundByItsKeyWhateverIsInIt(_ key: String, _ value: String) throws {
        let parts = JobFilterForm.parts(of: JobFilterForm.label(key, value))
        #expect(isSame(parts.key, key) && isSame(parts.value, value), "\(parts)")
        let request = try filter(("label", JobFilterForm.label(key, value))).request(at: .init(0))
        #expect(isSame(request.metadata[key], value))
    }

    @Test func aLabelThatSomebodyTypesMayHaveAMarkBehindItsSign() throws {
        let parts = JobFilterForm.parts(of: "50%=\(Self.mark)x")
        #expect(parts.key == "50%" && isSame(parts.value, "\(Self.mark)x"))
        #expect(try filter(("label", "k=\(Self.mark)")).labels.count == 1)
    }

    @Test func labelsWhoseKeysLookAlikeAreTwo() throws {
        let both = try filter(("label", "\(Self.alike[0])=1"), ("label", "\(Self.alike[1])=1"))
        #expect(both.labels.count == 2 && both.request(at: .init(0)).metadata.count == 2)
    }

    @Test func groupsThatLookAlikeArePausedBoth() throws {
        let form = Form(Self.alike.map { (name: "group", value: $0) })
        #expect(try Pausable(form).fields().count == 2)
    }
}
