import Foundation
import Protobuf
import SQLText
import SiloAPI
import SiloCore
import Testing

@testable import SiloWeb

/// What the page of SQL takes and makes of answers.
@Suite(.timeLimit(.minutes(10))) struct SQLTests {
    private func answer(_ columns: [(String, String)], _ rows: [[MessagePack]]) -> SQLAnswer {
        SQLAnswer(columns: columns.map { .init(name: $0.0, type: $0.1) }, rows: rows)
    }

    private func form(_ fields: [(String, String)]) throws -> SQLForm {
        try SQLForm(Form(fields.map { (name: $0.0, value: $0.1) }))
    }

    // MARK: The form

    @Test func aStatementIsTheSameInItsAddress() throws {
        let asked = try form([
            ("q", "SELECT $1,\r\n $2 -- $9"), ("tenant", "a b"), ("shard", "s"), ("partial", "yes"), ("p1", "7"), ("p2", "'7'"),
            ("view", "chart"),
        ])
        #expect(asked.sql == "SELECT $1,\n $2 -- $9" && asked.values == ["7", "'7'"] && asked.missingValue == nil)
        let fields = asked.fields.compactMap { name, value in value.map { (name, $0) } }
        #expect(try form(fields) == asked)
        let request = asked.request(rowsMax: 5)
        #expect(request.sql == asked.sql && request.tenant == "a b" && request.shard == "s" && request.allowPartial)
        #expect(request.rowsMax == 5 && request.parameters.map(\.value) == [.int64Value(7), .stringValue("7")])
    }

    @Test func aPlanIsAskedForOnce() throws {
        #expect(try form([("q", "SELECT 1"), ("view", "plan")]).request(rowsMax: 0).sql == "EXPLAIN SELECT 1")
        let own = "/* x */ explain SELECT 1"
        #expect(try form([("q", own), ("view", "plan")]).request(rowsMax: 0).sql == own)
        #expect(throws: PageFailure.self) { try form([("view", "odd")]) }
    }

    @Test func valuesThatAreMissingAreNamed() throws {
        #expect(try form([("q", "SELECT $2, $1"), ("p1", "x")]).missingValue == "$2")
        #expect(try form([("q", "SELECT '$1', $0 -- $1")]).missingValue == nil)
        #expect(try form([("q", "SELECT $99999999999999999999, $4000")]).values.count == SQLForm.valuesMax)
    }

    @Test func whatIsLongHasNoAddress() throws {
        var asked = SQLForm()
        asked.sql = String(repeating: "x", count: 3900)
        #expect(asked.address() != nil)
        asked.sql = String(repeating: "é", count: 1000)
        #expect(asked.address() == nil)
        asked.sql = String(repeating: "x", count: 1 << 20)
        #expect(asked.address() == nil)
    }

    // MARK: Answers

    @Test func timesAreKnownByTheirSize() {
        let now: Int64 = 1_760_000_000_000
        let answer = answer(
            [("at", "Int64"), ("n", "Int64"), ("none", "Int64"), ("text", "Utf8"), ("mixed", "Int64"), ("real", "Float64")],
            [
                [.int(now), .int(7), .null, .text("1760000000000"), .int(now), .double(1.76e12)],
                [.null, .int(8), .null, .null, .int(-1), .null],
            ])
        #expect(answer.times == [0])
    }

    @Test func columnsOfOneNameKeepTheirOrder() {
        // {"id": "a", "id": 2}
        let row: [UInt8] = [0x82, 0xa2, 0x69, 0x64, 0xa1, 0x61, 0xa2, 0x69, 0x64, 0x02]
        var bytes = SiloV1.SerializedBytes()
        bytes.encoding = .msgpack(row)
        let columns: [SQLAnswer.Column] = [.init(name: "id", type: "Utf8"), .init(name: "id", type: "Int64")]
        #expect(SQLAnswer.cells(bytes, columns) == [.text("a"), .int(2)])
        bytes.encoding = .msgpack([0xc1])
        #expect(SQLAnswer.cells(bytes, columns) == [.null, .null])
    }

    // MARK: Charts

    @Test func theFirstColumnSaysHowItIsDrawn() {
        let now: Int64 = 1_760_000_000_000
        let group: [(String, String)] = [("task_group", "Utf8"), ("n", "Int64"), ("ms", "Float64"), ("at", "Int64")]
        let bars = answer(group, [[.text("a"), .int(1), .double(2), .int(now)], [.text("b"), .null, .double(3), .int(now)]])
        #expect(ChartChoice(bars) == .bars(series: [1, 2]))
        let time: [(String, String)] = [("minute", "Int64"), ("n", "Int64")]
        let falling = answer(time, [[.int(now + 60_000), .int(1)], [.int(now), .int(2)]])
        #expect(ChartChoice(falling) == .lines(isTime: true, series: [1]))
        #expect(ChartChoice(answer(time, [[.int(1), .int(1)], [.int(2), .int(2)]])) == .lines(isTime: false, series: [1]))
        for unordered in [[1, 1], [1, 3, 2]] as [[Int64]] {
            #expect(ChartChoice(answer(time, unordered.map { [.int($0), .int(7)] })) == .bars(series: [1]))
        }
        #expect(ChartChoice(answer(time, [[.int(1), .int(1)], [.null, .int(2)]])) == .bars(series: [1]))
    }

    @Test func whatCannotBeDrawnSaysWhy() {
        for (columns, rows) in [
            ([("a", "Utf8"), ("n", "Int64")], []), ([("n", "Int64")], [[.int(1)]]),
            ([("a", "Utf8"), ("b", "Utf8")], [[.text("a"), .text("b")]]),
            ([("a", "Utf8"), ("n", "Float64")], [[.text("a"), .double(.nan)]]),
        ] as [([(String, String)], [[MessagePack]])] {
            guard case .none(let why) = ChartChoice(answer(columns, rows)) else {
                Issue.record("it is drawn")
                continue
            }
            #expect(!why.isEmpty)
        }
    }

    @Test func manySeriesAreBounded() {
        let columns = [("a", "Utf8")] + (0..<40).map { ("n\($0)", "Int64") }
        let row = [MessagePack.text("a")] + (0..<40).map { MessagePack.int($0) }
        #expect(ChartChoice(answer(columns, [row])) == .bars(series: [1, 2, 3, 4, 5]))
    }

    @Test(arguments: [
        [0, 0], [1e308, -1e308], [5e-324, 0], [1.7976931348623157e308], [-3, -1], [0.2, 0.9], [7, 93], [1e15, 1e16],
    ] as [[Double]])
    func everyNumberHasItsPlace(values: [Double]) {
        let scale = ResultScale(values)
        #expect(values.allSatisfy { (scale.low...scale.high).contains($0) } && scale.low.isFinite && scale.high.isFinite)
        for value in values { #expect((0...1).contains(scale.position(value))) }
        let points = values.enumerated().map { (x: Double($0), y: $1) }
        let turned = values.sorted().map { (x: $0, y: 1.0) }
        for points in [points, turned] {
            let line = ResultLines.Series(name: "n", colour: 1, points: points)
            let text = ResultLines(title: "x", isTime: false, series: [line], now: Timestamp(0)).html.text
            #expect(text.contains("<path class=\"line c1\"") && !text.contains("nan") && !text.contains("inf"))
        }
        let bars = ResultBars(
            title: "n", colour: 1, bars: values.map { .init(label: "x", value: $0, text: "x") }, of: values.count)
        #expect(!bars.html.text.contains("nan") && !bars.html.text.contains("inf"))
    }

    @Test func theScaleIsRound() {
        #expect(ResultScale([7, 93]) == ResultScale([100]) && ResultScale([93]).ticks == [50, 100])
        #expect(ResultScale([0.15]).high == 0.2 && ResultScale([-3, 12]).low == -5 && ResultScale([]).high == 1)
        #expect(ResultScale([-3, -1]).high == 0)
    }

    // MARK: Files

    @Test(arguments: [
        ([.text("a"), .int(-1), .null], "a,-1,\r\n"), ([.text(""), .bool(true)], "\"\",true\r\n"), ([.null], "\"\"\r\n"),
        ([.text("a,b"), .text("say \"x\""), .text("two\nlines")], "\"a,b\",\"say \"\"x\"\"\",\"two\nlines\"\r\n"),
        ([.text("=1+1"), .text("+1"), .text("-1"), .text("@x"), .text("\tx")], "'=1+1,'+1,'-1,'@x,'\tx\r\n"),
        ([.text("\r=1"), .text("a=1"), .double(-0.5)], "\"'\r=1\",a=1,-0.5\r\n"),
        ([.bytes([0, 255]), .uint(.max)], "00ff,18446744073709551615\r\n"),
    ] as [([MessagePack], String)])
    func aFileHasItsRows(values: [MessagePack], line: String) {
        #expect(SQLExport.line(values) == line)
    }

    // MARK: Places

    @Test func aByteIsALineAndAColumn() {
        let sql = "SELECT é,\n  frm jobs"
        let place = StatementPlace(sql, byte: sql.utf8.count - 8)
        #expect((place.line, place.column, place.marked) == (2, 3, "frm") && place.before == "  " && place.behind == " jobs")
        #expect(place.offset == sql.utf16.count - 8)
        #expect(StatementPlace(sql, byte: 999).marked == "⏎" && StatementPlace("", byte: -5).line == 1)
        let (head, tail) = (String(repeating: "x ", count: 5000), String(repeating: " y", count: 5000))
        let long = StatementPlace(head + "here" + tail, byte: 10_000)
        #expect(long.marked == "here" && long.before.count == 61 && long.behind.count == 61 && long.column == 10_001)
    }

    @Test func aNameThatThereIsNotIsFound() {
        let place = FaultPlace("SQL error: there is no column j.oops", in: "SELECT 'oops', j.oops FROM jobs j")
        #expect(place.byte == 17 && place.unknown?.name == "oops" && place.unknown?.kind == "column")
        let failure = "SQL error: there is no column a b; did you mean the text 'a b'? Texts stand in single quotes"
        let meant = FaultPlace(failure, in: "SELECT 1, \"a b\" FROM jobs")
        #expect(meant.byte == 10 && meant.unknown?.name == "a b")
        #expect(FaultPlace("at byte 99", in: "SELECT").byte == 6 && FaultPlace("busy", in: "SELECT").byte == nil)
    }

    @Test func aPlanIsSaidInWords() {
        let texts = SQLPlan.items([
            "FilterExec: 1 of 2 conditions", "ClusterExecutionPlan: partitions=2, table=Jobs",
            "SiloExecutionPlan: jobs[a], limit=None", "SiloExecutionPlan: leases[b], limit=Some(20)", "Odd: <x>",
        ]).map(\.text)
        #expect(texts == [
            "<b>jobs</b>: rows by <code>a</code>; 1 of 2 conditions are looked at row by row; in 2 shards, side by side",
            "<b>leases</b>: the first 20 rows by <code>b</code>", "<code>Odd: &lt;x&gt;</code>",
        ])
    }
}
