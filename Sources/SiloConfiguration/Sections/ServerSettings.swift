/// What callers see.
package struct ServerSettings: SettingsSection {
    package let name = "server"
    package let about = "Where it listens, and who is let in."

    package let address = Setting<String>(
        "server.grpc_addr", .address, default: "127.0.0.1:7450", .option("listen", "l", "host:port"),
        help: "where to listen; port 0 takes any free one"
    )
    package let isDevelopment = Setting<Bool>(
        "server.dev_mode", .flag, default: false, .option("dev"),
        help: "allow ResetShards, which erases everything, and LeaseTask, which passes limits"
    )
    package let authTokenFile = Setting<String?>(
        "server.auth_token_file", .text, .option("auth-token-file", nil, "file"), .reloadable,
        help: "callers must show the secret in it; keep it from others (chmod 600)"
    )
    package let authToken = Setting<String?>(
        "server.auth_token", .text, .option("auth-token", nil, "secret"), .variable("SILO_AUTH_TOKEN"), .secret, .reloadable,
        help: "the same in place; on the command line ps shows it to everybody on the machine"
    )
    package let drainTimeout = Setting<Duration>(
        "server.drain_timeout", .duration(0...Milliseconds.hour), default: .seconds(5), .reloadable,
        help: "how long calls may go on after the server was told to stop"
    )
    package let callsMax = Setting<Int>(
        "server.max_concurrent_calls", .number(1...1_048_576), default: 16_384, .reloadable,
        help: "calls served at once; more are refused with RESOURCE_EXHAUSTED"
    )
    package let statementTimeout = Setting<Duration>(
        "server.statement_timeout_ms", .duration(0...Milliseconds.day, unit: Milliseconds.one), default: .seconds(5),
        help: "how long an SQL statement may take; 0: no limit"
    )
    package let resultBytesMax = Setting<Int>(
        "server.max_result_bytes", .size(0...Bytes.tebi, unit: Bytes.one), default: 64 << 20,
        help: "the largest result of an SQL statement; 0: no limit"
    )
    package let statementsMax = Setting<Int>(
        "server.max_concurrent_statements", .number(0...65_536), default: 8,
        help: "SQL statements of one shard at once; 0: no limit"
    )
    package let slowQueryLog = Setting<Duration>(
        "server.slow_query_log_ms", .duration(0...Milliseconds.day, unit: Milliseconds.one), default: .seconds(1),
        help: "SQL statements that take longer are logged; 0: none"
    )
}

/// Certificates.
package struct TLSSettings: SettingsSection {
    package let name = "tls"
    package let about = "Certificates to serve with. Without them it serves in plain text."

    package let certificateFile = Setting<String?>(
        "tls.cert_file", .text, .option("tls-cert", nil, "file"), .reloadable, help: "certificate chain to serve with, PEM"
    )
    package let keyFile = Setting<String?>(
        "tls.key_file", .text, .option("tls-key", nil, "file"), .reloadable, help: "its private key, PEM"
    )
    package let clientCAFile = Setting<String?>(
        "tls.client_ca_file", .text, .option("tls-client-ca", nil, "file"), .reloadable,
        help: "callers need a certificate of this authority, PEM"
    )
}

/// Tokens with roles.
package struct AccessSettings: SettingsSection {
    package let name = "access"
    package let about = "Who may do what, and what is written down of it. See docs/security.md."

    package let tokensFile = Setting<String?>(
        "access.tokens_file", .text, .option("tokens-file", nil, "file"), .reloadable,
        help: "tokens with roles, as siloctl token new makes them; it is read anew when it changes"
    )
    package let auditLog = Setting<String?>(
        "access.audit_log", .text, .option("audit-log", nil, "file|stderr|stdout"), .reloadable,
        help: "where to write what administrators do and who is refused, as JSON lines: a file, or stderr or stdout"
    )
}

package struct TenancySettings: SettingsSection {
    package let name = "tenancy"
    package let about = "Jobs of many tenants in one place."

    package let isEnabled = Setting<Bool>(
        "tenancy.enabled", .flag, default: false, .option("tenancy"), help: "requests name tenants")
}
