import Foundation

/// What Linux says of this process at a moment.
struct ProcessFigures {
    struct Status {
        /// Of all processors, since the start.
        var processorSeconds: Double
        var threads: Double
        var virtualBytes: Double
        var residentBytes: Double
        /// In seconds since the Unix epoch; nil: it is not known.
        var startedAt: Double?
    }
    var status: Status?
    var openFiles: Int?
    var openFilesMax: Double?

    static var now: ProcessFigures {
        var figures = ProcessFigures()
        figures.status = read("/proc/self/stat").flatMap(Status.init)
        figures.openFiles = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd"))?.count
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 { figures.openFilesMax = Double(limit.rlim_cur) }
        return figures
    }

    /// In seconds since the Unix epoch.
    fileprivate static let bootTime: Double? = {
        let line = read("/proc/stat")?.split(separator: "\n").first { $0.hasPrefix("btime ") }
        return line.flatMap { Double($0.dropFirst("btime ".count)) }
    }()

    private static func read(_ path: String) -> String? { try? String(contentsOfFile: path, encoding: .utf8) }
}

extension ProcessFigures.Status {
    /// See proc(5); the name of the program, in parentheses, may hold anything.
    fileprivate init?(_ text: String) {
        guard let end = text.lastIndex(of: ")") else { return nil }
        // From the third field on.
        let fields = text[text.index(after: end)...].split(separator: " ").map { Double($0) ?? 0 }
        guard fields.count > 21 else { return nil }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        self.init(
            processorSeconds: (fields[11] + fields[12]) / ticks, threads: fields[17], virtualBytes: fields[20],
            residentBytes: fields[21] * Double(sysconf(Int32(_SC_PAGESIZE))),
            startedAt: ProcessFigures.bootTime.map { $0 + fields[19] / ticks })
    }
}
