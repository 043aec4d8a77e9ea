import HTTPServer
import SiloCore

/// The files that pages load: styles and scripts, which are part of the program. Their addresses hold a hash of all of them, so
/// that browsers keep them for ever and never use those of another build.
struct Asset: Sendable {
    let name: String
    let type: String
    let bytes: [UInt8]

    func response(_ request: HTTPRequest) -> HTTPResponse {
        let tag = "\"\(Assets.build)\""
        var headers = [
            ("ETag", tag), ("Cache-Control", "public, max-age=31536000, immutable"), ("X-Content-Type-Options", "nosniff"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ]
        if request.header("If-None-Match") == tag { return HTTPResponse(status: 304, headers: headers, body: .bytes([])) }
        headers.append(("Content-Type", type))
        return HTTPResponse(headers: headers, body: .bytes(bytes))
    }
}

enum Assets {
    private static let script = "text/javascript; charset=utf-8"
    private static let style = "text/css; charset=utf-8"

    /// A file in `Assets` is served when it stands here, and scripts find each other beside themselves.
    static let all: [Asset] = [
        Asset(name: "site.css", type: style, bytes: PackageResources.site_css),
        Asset(name: "site.js", type: script, bytes: PackageResources.site_js),
        Asset(name: "live.js", type: script, bytes: PackageResources.live_js),
        Asset(name: "chart.js", type: script, bytes: PackageResources.chart_js),
        Asset(name: "keys.js", type: script, bytes: PackageResources.keys_js),
        Asset(name: "times.js", type: script, bytes: PackageResources.times_js),
        Asset(name: "refresh.js", type: script, bytes: PackageResources.refresh_js),
        Asset(name: "tools.js", type: script, bytes: PackageResources.tools_js),
        Asset(name: "sql.js", type: script, bytes: PackageResources.sql_js),
        Asset(name: "sqlwords.js", type: script, bytes: PackageResources.sqlwords_js),
        Asset(name: "sqloffers.js", type: script, bytes: PackageResources.sqloffers_js),
        Asset(name: "sqlhistory.js", type: script, bytes: PackageResources.sqlhistory_js),
        Asset(name: "icon.svg", type: "image/svg+xml", bytes: PackageResources.icon_svg),
    ]

    /// Differs when any of them does.
    static let build: String = {
        let hash = all.reduce(UInt64(0)) { seed, asset in asset.bytes.withUnsafeBytes { Checksum64.of($0, seed: seed) } }
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }()

    static func path(of asset: Asset) -> String { "/assets/\(build)/\(asset.name)" }
    static func link(_ name: String) -> Link { Link("/assets/\(build)/\(name)") }
}
