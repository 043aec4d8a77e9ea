import SiloCore
import Testing

@testable import SiloWeb

/// What the overview says of task groups.
@Suite(.timeLimit(.minutes(10))) struct OverviewTests {
    private func figures(_ change: (inout Figures.Group) -> Void) -> Figures {
        var group = Figures.Group("emails")
        group.jobs.ready = 5
        change(&group)
        var figures = Figures()
        figures.groups = [group]
        return figures
    }

    @Test func `a group that is paused is no trouble, and is said to be paused`() {
        let paused = figures { $0.paused = 5 }
        #expect(OverviewHealth(paused).html.text.contains("All is well."))
        #expect(OverviewTables(paused).groups.text.contains(">paused</span>"))
        #expect(OverviewTables(figures { $0.paused = 2 }).groups.text.contains(">2 paused</span>"))
        #expect(!OverviewTables(figures { _ in }).groups.text.contains("paused"))
    }

    @Test func `a group that nobody works on is named and leads to its page`() {
        let lonely = figures { $0.oldestReadyMilliseconds = 61_000 }
        let text = OverviewHealth(lonely).html.text
        #expect(text.contains("nobody works on") && text.contains("href=\"/group?name=emails\""))
    }

    @Test func `all other groups stand together and lead nowhere`() {
        let rest = figures { group in
            group.isRest = true
            group.oldestReadyMilliseconds = 61_000
        }
        for text in [OverviewTables(rest).groups.text, OverviewHealth(rest).html.text] {
            #expect(text.contains("all other") && !text.contains("href"))
        }
    }
}
