import SiloCore
import SiloTesting
import Testing

@testable import SiloService

@Suite(.timeLimit(.minutes(10))) struct WorkerRegistryTests {
    @Test func workersAndGroupsThatLookAlikeAreTwo() {
        let registry = WorkerRegistry(clock: ManualClock())
        let alike = ["\u{e9}", "e\u{301}"]
        for name in alike { _ = registry.polled(name, group: name, host: "", version: "", peer: "") }
        #expect(registry.all.count == 2 && registry.workersByGroup(within: 1).count == 2)
        #expect(registry.setQuiet(alike[0], true) == false)
        #expect(registry.given(1, to: alike[1], group: alike[1]), "the other is not quiet")
    }
}
