import SiloCore

/// What a server says of itself: what runs, since when, and what it takes of its machine.
struct NodeParts {
    private let node: Figures.Node
    private let process: CloseUp.Process
    private let now: Timestamp

    init(_ now: Figures, _ closeUp: CloseUp, at moment: Timestamp) {
        node = now.node
        process = closeUp.process
        self.now = moment
    }

    var html: HTML {
        let built = node.builtFrom.enumerated().map { index, part -> HTML in
            "\(HTML.when(index > 0, ", "))\(part.name) \(Name(String(part.version.prefix(12))).html)"
        }
        var facts: [(HTML, HTML)] = [
            ("Name", Name(node.name).html), ("Address", Name(node.address).html),
            ("Version", "\(node.version)\(HTML.when(!built.isEmpty, .hint("\(built)")))"),
            ("Started", When(node.startedAt, now: now).html),
        ]
        facts += [("Memory", memory), ("Processors", processors), ("Open files", files)]
        if let threads = process.threads { facts.append(("Threads", "\(Quantity.count(threads))")) }
        facts += [("Disk", disk), ("Data", Name(node.data).html), ("Durable by", "<code>\(node.durability)</code>")]
        if let why = node.refusesJobs { facts.append(("New jobs", "<span class=\"badge bad\">refused</span> \(why)")) }
        return Facts(facts).html
    }

    private var memory: HTML { "\(process.residentBytes.map { Quantity.bytes($0) } ?? "–")" }

    /// Those that were busy lately; before that is known, on the average since the start.
    private var processors: HTML {
        let count = Double(process.processors)
        if let busy = process.busyProcessors {
            return Gauge(busy, of: count).html("\(Quantity.short(busy)) of \(Quantity.count(process.processors)) busy")
        }
        let length = Double(now - node.startedAt) / 1000
        guard let spent = process.processorSeconds, length > 0 else { return "–" }
        let busy = spent / length
        return Gauge(busy, of: count).html(
            "\(Quantity.short(busy)) of \(Quantity.count(process.processors)) busy, since the start")
    }

    private var files: HTML {
        guard let open = process.openFiles else { return "–" }
        guard let most = process.openFilesMax else { return "\(Quantity.count(open))" }
        return Gauge(Double(open), of: Double(most)).html("\(Quantity.count(open)) of \(Quantity.count(most))")
    }

    private var disk: HTML {
        guard let free = node.freeBytes, let all = node.diskBytes else { return "the data is on none" }
        return Gauge(Double(all - min(all, free)), of: Double(all)).html(
            "\(Quantity.bytes(free)) of \(Quantity.bytes(all)) free")
    }
}
