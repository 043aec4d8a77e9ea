import Protobuf
import SiloAPI
import Testing

@testable import SiloWeb

@Suite(.timeLimit(.minutes(10))) struct SchedulePageTests {
    @Test func `timers that cannot be read are named beside the others`() async throws {
        let site = try CountingSite(calls: { method, _ throws(CallFailure) in
            guard method == SiloV1.Silo.getSchedule.path else { return nil }
            var (damaged, whole) = (SiloV1.ListedJob(), SiloV1.ListedJob())
            (damaged.id, damaged.tenant, whole.id) = ("torn", "acme", "good")
            var response = SiloV1.GetScheduleResponse()
            (response.unreadable, response.jobs, response.countedUntilMs) = ([damaged], [whole], .max)
            return response.serializedBytes()
        })
        let page = try await Curl(site).get("/schedule")
        #expect(page.status == 200 && page.text.contains("<b>1 job cannot be read</b>"))
        #expect(page.text.contains(">acme/torn<") && page.text.contains(">good<"))
    }
}
