struct Backlog {
    static func oneTenant(_ place: Suite.Place) -> Backlog { Backlog() }
    static func manyTenants(_ place: Suite.Place) -> Backlog { Backlog() }
    func measure(_ results: inout Results) async throws { throw Failure("not there yet") }
}
