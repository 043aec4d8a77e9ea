import SiloTelemetry

package struct LoggingSettings: SettingsSection {
    package let name = "logging"
    package let about = "Log lines."

    package let format = Setting<String>(
        "logging.format", .word(["text", "json"]), default: "text", .option("log-format", nil, "text|json"),
        help: "how log lines look"
    )
    package let filter = Setting<String>(
        "logging.filter", Self.filterForm, default: "info", .variable("SILO_LOG"), .reloadable,
        help: "the least level of lines, for all or for single parts, as in warn,shard=debug"
    )

    package let file = Setting<String?>(
        "logging.file", .text, absent: "standard output", .option("log-file", nil, "file"),
        help: "where they go; SIGHUP opens the file anew, for whoever moves it away"
    )

    private static let filterForm = SettingForm.checked(wanted: "levels such as \"info\" or \"warn,shard=debug\"") {
        (try? LogFilter($0)) != nil
    }
}

package struct MetricsSettings: SettingsSection {
    package let name = "metrics"
    package let about = "The HTTP port for Prometheus and probes."

    package let isEnabled = Setting<Bool>(
        "metrics.enabled", .flag, default: true, help: "measure, and serve metrics and health pages over HTTP")
    package let address = Setting<String>(
        "metrics.addr", .httpAddress, default: "127.0.0.1:9090", .option("metrics", nil, "host:port"),
        help: "where metrics and health pages are served, or none; with TLS where calls have it")
}

package struct WebUISettings: SettingsSection {
    package let name = "webui"
    package let about = "The web page for operators, on the HTTP port of metrics.addr."

    package let isEnabled = Setting<Bool>("webui.enabled", .flag, default: true, help: "serve the web page")
    package let sessionLifetime = Setting<Duration>(
        "webui.session_lifetime", .duration(Milliseconds.minute...Milliseconds.day * 30), default: .seconds(12 * 3600),
        help: "how long somebody stays signed in there"
    )
    package let address = Setting<String>(
        "webui.addr", .address, default: "127.0.0.1:8080", .unused("the page is served at metrics.addr"),
        help: "upstream's own port for it"
    )
}
