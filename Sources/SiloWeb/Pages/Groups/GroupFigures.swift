import HTTPServer
import SiloCore

/// The numbers of a task group, each a part of a page that is kept current by itself.
struct GroupFigures {
    let group: Figures.Group
    private let pace: GroupPace?
    private let key: String

    init(_ group: Figures.Group, _ state: History.State) {
        self.group = group
        pace = state.groups.pace(of: group)
        let hash = Array(group.name.utf8).withUnsafeBytes { Checksum64.of($0, seed: 0) }
        key = "g" + String(hash, radix: 16)
    }

    enum Part: String, CaseIterable {
        case ready, limits, running, scheduled, oldest, started, ended, empty
    }

    func html(_ part: Part) -> HTML { "<span id=\"\(id(part))\">\(content(part))</span>" }
    private func id(_ part: Part) -> String { "\(key)-\(part.rawValue)" }

    var regions: [LiveTopic.Region] { Part.allCases.map { LiveTopic.Region(id($0), content($0)) } }

    private func content(_ part: Part) -> HTML {
        switch part {
        case .ready: "\(Quantity.count(group.jobs.ready))"
        case .limits: "\(Quantity.count(group.jobs.waiting))"
        case .running: "\(Quantity.count(group.jobs.running))"
        case .scheduled: "\(Quantity.count(group.jobs.scheduled))"
        case .oldest: "\(group.oldestReadyMilliseconds.map { Quantity.duration(milliseconds: Double(max(0, $0))) } ?? "–")"
        case .started: "\(pace.map { Quantity.rate($0.startedPerSecond) } ?? "–")"
        case .ended: "\(pace.map { Quantity.rate($0.endedPerSecond) } ?? "–")"
        case .empty: "\(pace?.emptyIn ?? (group.backlog == 0 ? "empty" : "–"))"
        }
    }
}
