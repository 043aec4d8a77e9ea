import Protobuf
import SiloAPI
import SiloCore

/// The filter of a list of jobs, as it stands in an address.
struct JobFilterForm: Sendable {
    var tenant: String?
    var status: String?
    var group: String?
    /// Entries of the metadata, each `key=value`; a `=` of the key is `%3D`, and a `%` is `%25`.
    var labels: [String] = []
    var limit: String?
    /// Empty: it failed without a code. A form's empty field says nothing, so that is a field of its own.
    var code: String?
    /// How far back the status may have changed.
    var since: Since?
    /// It changed then or later, in milliseconds: what `since` meant when somebody was asked.
    var from: Int64?
    /// It changed earlier than then.
    var before: Int64?

    static let statuses = ["Waiting", "Scheduled", "Running", "Succeeded", "Failed", "Cancelled"]

    enum Since: String, CaseIterable, Sendable {
        case quarter = "15m", hour = "1h", day = "24h", week = "7d"

        var title: String {
            switch self {
            case .quarter: "the last 15 minutes"
            case .hour: "the last hour"
            case .day: "the last 24 hours"
            case .week: "the last 7 days"
            }
        }
        var milliseconds: Int64 {
            switch self {
            case .quarter: 900_000
            case .hour: 3_600_000
            case .day: 86_400_000
            case .week: 604_800_000
            }
        }
    }

    init() {}

    init(_ form: Form) throws(PageFailure) {
        tenant = form["tenant"]
        group = form["group"]
        limit = form["limit"]
        code = form["code"] ?? (form[Self.noCodeField] == nil ? nil : "")
        var keys: Set<ExactText> = []
        for label in form.all("label") where !label.isEmpty && !labels.contains(where: label.hasSameBytes) {
            guard label.utf8.contains(UInt8(ascii: "=")) else {
                throw PageFailure(400, "The label cannot be read", "A label is a key, =, and a value, such as customer=4711.")
            }
            guard keys.insert(ExactText(Self.parts(of: label).key)).inserted else {
                throw PageFailure(400, "No job has both labels", "A job has one value of \(Self.parts(of: label).key) at most.")
            }
            labels.append(label)
        }
        if let text = form["status"] {
            guard Self.statuses.contains(text) else {
                throw PageFailure(400, "There is no such status", "It is one of \(Self.statuses.joined(separator: ", ")).")
            }
            status = text
        }
        if let text = form["since"] {
            since = Since(rawValue: text)
            if since == nil { throw PageFailure(400, "There is no such time", "It is one of 15m, 1h, 24h and 7d.") }
        }
        from = try Self.time(form, "from")
        before = try Self.time(form, "before")
    }

    static let noCodeField = "nocode"

    private static func time(_ form: Form, _ name: String) throws(PageFailure) -> Int64? {
        guard let text = form[name] else { return nil }
        guard let time = Int64(text) ?? LocalTime.milliseconds(text) else {
            throw PageFailure(
                400, "There is no such time",
                "The field \(name) is a number of milliseconds, or a time of UTC such as 2026-03-01T13:00.")
        }
        return time
    }

    static func parts(of label: String) -> (key: String, value: String) {
        let parts = label.parts(at: "=", atMost: 2)
        return (decoded(parts[0]), parts.count > 1 ? parts[1] : "")
    }

    private static func decoded(_ key: String) -> String {
        let parts = key.parts(at: "%")
        return parts.dropFirst().reduce(parts[0]) { text, part in
            for (code, sign) in [("3D", "="), ("25", "%")] where part.utf8.starts(with: code.utf8) {
                return text + sign + String(part.unicodeScalars.dropFirst(code.count))
            }
            return text + "%" + part
        }
    }

    static func label(_ key: String, _ value: String) -> String {
        key.parts(at: "%").joined(separator: "%25").parts(at: "=").joined(separator: "%3D") + "=" + value
    }

    /// When its time begins.
    func from(at now: Timestamp) -> Int64? { from ?? since.map { now.milliseconds - $0.milliseconds } }

    /// The fields that make it.
    var fields: [(String, String?)] {
        let first: [(String, String?)] = [("tenant", tenant), ("status", status), ("group", group)]
        let last: [(String, String?)] = [
            ("limit", limit), code == "" ? (Self.noCodeField, "1") : ("code", code), ("since", since?.rawValue),
            ("from", from.map { String($0) }), ("before", before.map { String($0) }),
        ]
        return first + labels.map { label -> (String, String?) in ("label", label) } + last
    }

    var given: [(String, String)] { fields.compactMap { name, value in value.map { (name, $0) } } }

    func link(_ path: String = "/jobs", _ more: [(String, String?)] = []) -> Link { Link(path, fields + more) }

    /// With one thing changed.
    func with(_ change: (inout JobFilterForm) -> Void) -> JobFilterForm {
        var form = self
        change(&form)
        return form
    }

    var isEmpty: Bool { given.isEmpty }

    func request(at now: Timestamp) -> SiloV1.ListJobsRequest {
        var request = SiloV1.ListJobsRequest()
        request.tenant = tenant
        request.statusKind = status ?? ""
        request.taskGroup = group ?? ""
        request.limitKey = limit ?? ""
        request.errorCode = code
        for label in labels {
            let (key, value) = Self.parts(of: label)
            request.metadata[key] = value
        }
        request.changedFromMs = from(at: now)
        request.changedBeforeMs = before
        return request
    }

    /// In words, after `jobs`.
    var words: HTML {
        var words: [HTML] = []
        if let group { words.append("of task group \(Name(group).html)") }
        if let tenant { words.append("of tenant \(Name(tenant).html)") }
        for label in labels { words.append("with \(Name(label).html)") }
        if let limit { words.append("at limit \(Name(limit).html)") }
        if let code { words.append(code.isEmpty ? "that failed without a code" : "that failed with \(Name(code).html)") }
        if from != nil || before != nil {
            let ends = [("from", from), ("before", before)].compactMap { word, time in
                time.map { "\(word) \(LocalTime.text($0).map { $0 + " UTC" } ?? "\($0) ms")" }
            }
            words.append("that changed \(ends.joined(separator: " and "))")
        } else if let since { words.append("that changed in \(since.title)") }
        return words.reduce(.empty) { $0.isEmpty ? $1 : "\($0) \($1)" }
    }
}

extension Name {
    /// A status, in its colour.
    static func badge(status: String) -> HTML {
        let kind: HTML =
            switch status {
            case "Succeeded": " good"
            case "Failed": " bad"
            case "Running": " accent"
            case "Cancelled": ""
            default: " warn"
            }
        return "<span class=\"badge\(kind)\">\(status)</span>"
    }
}
