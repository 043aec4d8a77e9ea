import SiloAPI
import SiloCore
import Testing

@testable import SiloWeb

@Suite(.timeLimit(.minutes(10))) struct NodePagesTests {
    private func shard() -> Figures.Shard {
        var shard = Figures.Shard("5a0b0000-0000-0000-0000-000000000000")
        (shard.state, shard.slices) = (.serves, 0...511)
        shard.log = Figures.Log()
        return shard
    }

    @Test func `a shard that does not serve says why, whatever stands in the reason`() {
        var shard = shard()
        (shard.state, shard.trouble) = (.failed, "<b>disk\u{202e}")
        let head = ShardParts(shard, CloseUp(), at: Timestamp(0)).content(.head).text
        #expect(head.contains("&lt;b&gt;disk⟨U+202E⟩") && head.contains("is tried again"))
        #expect(ShardFigures(shard, CloseUp(), now: Timestamp(0)).html(.state).text.contains("&lt;b&gt;disk"))
        #expect(ShardParts(self.shard(), CloseUp(), at: Timestamp(0)).content(.head).isEmpty)
    }

    @Test func `each part has a name of its own`() {
        let closeUp = CloseUp()
        let ids = ShardParts(shard(), closeUp, at: Timestamp(0)).regions.map(\.id)
            + ShardFigures(shard(), closeUp, now: Timestamp(0)).regions.map(\.id)
        #expect(Set(ids).count == ids.count)
    }

    @Test func `what was not looked at yet is not shown as nothing`() {
        var closeUp = CloseUp()
        let (shard, now) = (shard(), Timestamp(0))
        #expect(ShardFigures(shard, closeUp, now: now).html(.size).text.contains("–"))
        #expect(ShardParts(shard, closeUp, at: now).content(.storage).text.contains("are being looked at"))
        closeUp.storage[shard.id] = CloseUp.Storage()
        #expect(ShardFigures(shard, closeUp, now: now).html(.size).text.contains("0 B"))
        #expect(!ShardParts(shard, closeUp, at: now).content(.storage).text.contains("looked at"))
    }

    @Test func `levels are what is not merged, and each run`() {
        var info = SiloV1.GetShardStorageInfoResponse()
        #expect(ShardLevelsTable(info).html.text.contains("no sorted files yet"))
        var run = SiloV1.SortedRunInfo()
        (run.id, run.sstCount, run.estimatedSize) = (7, 3, 2048)
        (info.l0SstCount, info.totalL0Size, info.sortedRuns) = (2, 1024, [run])
        let text = ShardLevelsTable(info).html.text
        #expect(text.contains("Not merged yet") && text.contains("Run 7") && text.contains("2 KiB"))
        #expect(text.contains("width=\"500\"") && text.contains("width=\"1000\""))
    }

    @Test func `a filter of the audit log is its address`() throws {
        let form = Form([("who", "a&b"), ("outcome", "not OK"), ("since", "1h"), ("readings", "1"), ("call", "")])
        let filter = try AuditFilter(form)
        #expect(filter.link(cursor: "1.2").text == "/audit?who=a%26b&outcome=not%20OK&since=1h&readings=1&cursor=1.2")
        let request = filter.request(at: Timestamp(7_200_000))
        #expect(request.who == "a&b" && request.onlyFailed && request.outcome.isEmpty && request.withReadings)
        #expect(request.fromMs == 3_600_000 && request.beforeMs == nil && !filter.isEmpty)
        for wrong in [("before", "x"), ("since", "2h")] {
            #expect(throws: PageFailure.self) { try AuditFilter(Form([(name: wrong.0, value: wrong.1)])) }
        }
    }

    @Test func `a form by name keeps what else the address says`() {
        let bar = FilterBar.byName("/groups", "<a>", "Name contains", keeping: [("sort", "rate"), ("group", nil)]).html.text
        #expect(bar.contains("name=\"sort\" value=\"rate\"") && bar.contains("value=\"&lt;a&gt;\"") && !bar.contains("\"group\""))
        #expect(bar.contains("href=\"/groups?sort=rate\""))
    }
}
