import Foundation

/// How spans are recorded and exported, as the variables say that OpenTelemetry has for it.
///
/// Nothing is exported unless an endpoint is named, or `OTEL_TRACES_EXPORTER=otlp` says that the standard one is meant.
public struct TracingSettings: Sendable {
    public enum Security: Sendable, Equatable { case plain, tls }

    /// Nil: nothing is exported, and nothing recorded.
    public var target: String?
    public var security = Security.plain
    /// Sent with each export. They may be secrets.
    public var headers: [(name: String, value: String)] = []
    /// Of one call, in milliseconds.
    public var timeoutMilliseconds = 10_000
    /// Files in PEM: whom to trust, and who we are.
    public var certificate: String?
    public var clientCertificate: String?
    public var clientKey: String?
    /// What is told of the process with each export.
    public var resource: [(name: String, value: String)] = []
    public var sampler = Sampler.byParent(root: .always)
    /// Spans that may wait, those of one export, how long a span waits for others, and how long an export may take with all
    /// that is tried again.
    public var queueMax = 2048
    public var batchMax = 512
    public var delayMilliseconds = 5000
    public var exportMilliseconds = 30_000
    /// What the environment says that cannot be, each naming its variable. The defaults are in force instead.
    public private(set) var mistakes: [String] = []

    /// - Parameter service: what the process is called when nobody says.
    public init(_ environment: [String: String], service: String) {
        var variables = OpenTelemetryVariables(environment)
        readTarget(&variables)
        headers = variables.pairs("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
        timeoutMilliseconds = variables.number(
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT", default: timeoutMilliseconds, in: 1...600_000
        )
        certificate = variables.text("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE")
        clientCertificate = variables.text(
            "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
        )
        clientKey = variables.text("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY")
        resource = variables.pairs("OTEL_RESOURCE_ATTRIBUTES")
        name(variables.text("OTEL_SERVICE_NAME"), else: service)
        sampler = variables.sampler(default: sampler)
        queueMax = variables.number("OTEL_BSP_MAX_QUEUE_SIZE", default: queueMax, in: 1...1_000_000)
        batchMax = variables.number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", default: min(batchMax, queueMax), in: 1...queueMax)
        delayMilliseconds = variables.number("OTEL_BSP_SCHEDULE_DELAY", default: delayMilliseconds, in: 1...3_600_000)
        exportMilliseconds = variables.number("OTEL_BSP_EXPORT_TIMEOUT", default: exportMilliseconds, in: 1...3_600_000)
        variables.noteUnsupported()
        mistakes = variables.mistakes
    }

    private mutating func readTarget(_ variables: inout OpenTelemetryVariables) {
        let endpoint = variables.text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        let exporter = variables.choice("OTEL_TRACES_EXPORTER", of: ["otlp", "none"])
        // What else there is, Silo does not speak.
        _ = variables.choice("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL", of: ["grpc"])
        let isOff = variables.flag("OTEL_SDK_DISABLED")
        let isInsecure = variables.flag("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE")
        guard !isOff, exporter != "none", endpoint != nil || exporter == "otlp" else { return }
        let text = endpoint ?? "http://localhost:4317"
        guard let (scheme, target) = Self.parse(text) else {
            // The password of a URL must not be told.
            return variables.note("the endpoint of OTEL_EXPORTER_OTLP_ENDPOINT must be like http://collector:4317")
        }
        self.target = target
        security = scheme == "https" || scheme == nil && !isInsecure ? .tls : .plain
    }

    /// `http://host:port` or `host:port`; the path of a URL means nothing to gRPC.
    private static func parse(_ text: String) -> (scheme: String?, target: String)? {
        let parts = text.components(separatedBy: "://")
        guard parts.count <= 2, let rest = parts.last?.split(separator: "/", omittingEmptySubsequences: false).first else {
            return nil
        }
        let scheme = parts.count == 2 ? parts[0].lowercased() : nil
        guard scheme == nil || scheme == "http" || scheme == "https", !rest.isEmpty, !rest.contains("@") else { return nil }
        let host = rest.hasPrefix("[") ? rest.drop { $0 != "]" } : rest
        if host.contains(":") { return (scheme, String(rest)) }
        return scheme == nil ? nil : (scheme, "\(rest):\(scheme == "https" ? 443 : 80)")
    }

    /// The variable for it goes before the attribute.
    private mutating func name(_ given: String?, else service: String) {
        let attribute = resource.first { $0.name == "service.name" }?.value
        resource.removeAll { $0.name == "service.name" }
        resource.append(("service.name", given ?? attribute ?? service))
    }
}

/// Reads variables, and notes what they say that cannot be. An empty one counts as none.
struct OpenTelemetryVariables {
    private let environment: [String: String]
    private(set) var mistakes: [String] = []

    init(_ environment: [String: String]) { self.environment = environment.filter { !$0.value.isEmpty } }

    mutating func note(_ mistake: String) { mistakes.append(mistake) }

    /// The first of the names that is set.
    func text(_ names: String...) -> String? { first(names)?.value }

    private func first(_ names: [String]) -> (name: String, value: String)? {
        for name in names { if let value = environment[name] { return (name, value) } }
        return nil
    }

    func flag(_ names: String...) -> Bool { first(names)?.value.lowercased() == "true" }

    mutating func number(_ names: String..., default value: Int, in range: ClosedRange<Int>) -> Int {
        guard let (name, text) = first(names) else { return value }
        if let number = Int(text), range.contains(number) { return number }
        note("\(name) must be a whole number from \(range.lowerBound) to \(range.upperBound)")
        return value
    }

    /// What is asked for and not done here.
    mutating func noteUnsupported() {
        _ = choice("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION", of: ["none"])
        _ = choice("OTEL_PROPAGATORS", of: ["tracecontext"])
        let limits = ["ATTRIBUTE_VALUE_LENGTH", "ATTRIBUTE_COUNT"]
            + ["SPAN_ATTRIBUTE_VALUE_LENGTH", "SPAN_ATTRIBUTE_COUNT", "SPAN_EVENT_COUNT", "SPAN_LINK_COUNT"]
            + ["EVENT_ATTRIBUTE_COUNT", "LINK_ATTRIBUTE_COUNT"]
        for limit in limits.map({ "OTEL_\($0)_LIMIT" }) where environment[limit] != nil { note("\(limit) has no effect here") }
    }

    mutating func choice(_ names: String..., of choices: [String]) -> String? {
        guard let (name, text) = first(names) else { return nil }
        if choices.contains(text) { return text }
        note("\(name) can only be \(choices.joined(separator: " or ")) here")
        return nil
    }

    /// `name=value,name=value`, with percent signs as in URLs.
    mutating func pairs(_ names: String...) -> [(name: String, value: String)] {
        guard let (variable, text) = first(names) else { return [] }
        var pairs: [(name: String, value: String)] = []
        for entry in text.split(separator: ",") {
            let sides = entry.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = sides[0].trimmingCharacters(in: .whitespaces)
            guard sides.count == 2, !name.isEmpty,
                let value = sides[1].trimmingCharacters(in: .whitespaces).removingPercentEncoding
            else {
                note("\(variable) must be name=value,name=value")
                continue
            }
            pairs.append((name, value))
        }
        return pairs
    }

    mutating func sampler(default value: Sampler) -> Sampler {
        switch text("OTEL_TRACES_SAMPLER") {
        case nil: return value
        case "always_on": return .always
        case "always_off": return .never
        case "traceidratio": return .ratio(ratio())
        case "parentbased_always_on": return .byParent(root: .always)
        case "parentbased_always_off": return .byParent(root: .never)
        case "parentbased_traceidratio": return .byParent(root: .ratio(ratio()))
        default:
            note(
                "OTEL_TRACES_SAMPLER must be one of always_on, always_off, traceidratio, parentbased_always_on, "
                    + "parentbased_always_off, parentbased_traceidratio"
            )
            return value
        }
    }

    private mutating func ratio() -> Double {
        guard let text = text("OTEL_TRACES_SAMPLER_ARG") else { return 1 }
        if let ratio = Double(text), (0...1).contains(ratio) { return ratio }
        note("OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1")
        return 1
    }
}
