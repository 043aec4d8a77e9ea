import CommandLineTool
import Foundation
import SiloCore

/// `top`: what goes on, live.
struct TopCommand {
    private let arguments: Arguments
    private let output: Output
    private let milliseconds: Int64
    private var choices = TopChoices()
    private let clock = SystemClock()

    static let options: [Usage.Option] = [
        .init("every", nil, "seconds", help: "look so often (1)"),
        .init("view", nil, "groups|tenants|shards|workers", help: "the table to begin with (groups)"),
        .init("filter", nil, "text", help: "only rows whose names contain it"),
        .init("once", help: "print one frame, after a second, and end; --json does the same as an object"),
    ]
    static let details = """
        Needs a terminal, but for --once and --json. ? shows its keys, q quits. Rates are of the last 5 s; waits, run times and
        when a task group will be empty are of the last minute, or since it was started. Backlog is what is ready or waits at a
        limit. A server that does not answer is asked again until it does; a shard that does not serve is named, and left out.
        """

    init(_ arguments: Arguments, _ output: Output) throws {
        self.arguments = arguments
        self.output = output
        milliseconds = Int64(try arguments.fraction("every", default: 1, in: 0.2...3600) * 1000)
        let named = arguments.text("view", default: TopView.groups.rawValue)
        guard let view = TopView(rawValue: named) else {
            let all = TopView.allCases.map(\.rawValue).joined(separator: ", ")
            throw Arguments.Mistake("--view takes one of \(all), not \(named)")
        }
        choices.view = view
        choices.filters[view] = arguments.text("filter")
    }

    func run() async throws {
        if output.isJSON || arguments.has("once") { return try await printOnce() }
        if let reason = Screen.reasonMissing { throw Failure("\(reason); --once prints one frame, --json an object") }
        let address = try ServerPlace(arguments).address
        var live = LiveTop(arguments, choices, output, address: address, every: milliseconds)
        try await live.run()
    }

    private func printOnce() async throws {
        let server = try Server(arguments)
        defer { server.close() }
        let wish = choices.wish
        var history = TopHistory()
        history.add(try await TopSample.take(server, wish).nodes, at: clock.steady)
        try await clock.sleep(milliseconds: milliseconds)
        let sample = try await TopSample.take(server, wish)
        history.add(sample.nodes, at: clock.steady)
        let moment = TopFrame.Moment(sample, history, now: clock.now.milliseconds)
        let frame = TopFrame(
            moment: moment, choices: choices, address: try ServerPlace(arguments).address, failure: nil, times: output.times)
        let width = Output.isTerminal ? Output.terminalWidth : Self.plainColumns
        try output.print(moment.object(choices), frame.whole(columns: width))
    }

    /// Of a frame that goes elsewhere than to a terminal.
    private static let plainColumns = 120
}

extension TopFrame.Moment {
    init(_ sample: TopSample, _ history: TopHistory, now: Int64) {
        let pace = history.pace(over: TopHistory.rateMilliseconds)
        self.init(sample: sample, pace: pace, minute: history.pace(over: TopHistory.minuteMilliseconds), now: now)
    }
}

extension TopChoices {
    /// What of it the servers are asked for.
    var wish: TopSample.Wish {
        TopSample.Wish(view: view, filter: filter, order: TopTables.order(ofTenantsBy: sorting.column))
    }
}
