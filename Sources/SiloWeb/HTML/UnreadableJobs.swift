import SiloAPI

/// Jobs that a list came upon and whose rows cannot be read.
struct UnreadableJobs {
    let jobs: [SiloV1.ListedJob]
    private static let shownMax = 10

    var html: HTML {
        guard !jobs.isEmpty else { return .empty }
        let names = HTML(joining: jobs.prefix(Self.shownMax).enumerated().map { index, job -> HTML in
            let name = Name(job.tenant.map { "\($0)/\(job.id)" } ?? job.id).html
            return "\(index == 0 ? "" : ", ")\(name)"
        })
        let more: HTML = jobs.count > Self.shownMax ? ", …" : .empty
        return """
            <p class="finding bad unreadable"><span class="dot" aria-hidden="true"></span>\
            <b>\(Quantity.of(jobs.count, "job")) cannot be read</b> and \(jobs.count == 1 ? "is" : "are") not shown, whether \
            meant or not: \(names)\(more)</p>
            """
    }
}
