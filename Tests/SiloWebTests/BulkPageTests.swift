import Protobuf
import SiloAPI
import Testing

@testable import SiloWeb

@Suite(.timeLimit(.minutes(10))) struct BulkPageTests {
    /// Jobs that came after an action was counted are looked at as well.
    @Test func `an action never looks at more jobs than there are`() async throws {
        let site = try CountingSite(calls: { method, _ throws(CallFailure) in
            guard method == SiloV1.Silo.getBulkAction.path else { return nil }
            var action = SiloV1.BulkAction()
            (action.state, action.lookedAt, action.expected, action.done) = (.done, 7_366, 7_353, 32)
            var response = SiloV1.GetBulkActionResponse()
            response.action = action
            return response.serializedBytes()
        })
        let page = try await Curl(site).get("/action?id=a")
        #expect(page.status == 200)
        #expect(page.text.contains("7,366 of 7,366 looked at"))
    }
}
