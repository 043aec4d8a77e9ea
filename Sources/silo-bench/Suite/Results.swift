import Foundation

/// What was measured, beside its targets.
struct Results {
    /// The figures of the last line, in its order.
    enum Key: String, CaseIterable {
        case unary_per_s, batch_per_s, library_per_s, library_lone_p50_ms, default_share, default_tenancy_share, inprocess_share,
            inprocess_random_share,
            ack_p50_ms, ack_p99_ms, bare_flush_p50_ms, ready_to_leased_p99_ms
        case rss_1m_mib, lease_rate_1m_share, reopen_1_tenant_s, reopen_100k_tenants_s, neighbour_wait_ratio
        case limit_free_share, limit_hot_share, rate_free_share, handover_p99_ms, handover_flush_p99_ms
        case deadlock_unfinished, flood_neighbour_share, simulated_minutes_per_s
        case log_flush_p50_ms, log_flush_share, log_engine_ratio, log_checkpoint_share
        case retention_lease_share, retention_busy_per_s, retention_idle_per_s
        case drop_lease_share, drop_unary_share, drop_busy_rows_per_s
        case bulk_unary_share, bulk_busy_per_s, bulk_cancel_per_s, bulk_restart_per_s, bulk_expedite_per_s,
            bulk_cancel_again_per_s, bulk_delete_per_s
    }

    private enum Target {
        case atLeast(Double)
        case below(Double)
        case atMost(Double)
        /// A reference for others.
        case none
    }

    private var values: [Key: Double] = [:]
    private var notes: [Key: String] = [:]

    /// - Parameter note: how the figure came about, for the table.
    mutating func set(_ key: Key, _ value: Double, _ note: String = "") {
        values[key] = value
        notes[key] = note
    }

    subscript(key: Key) -> Double? { values[key] }

    /// Keeps the worse of what two parts measured.
    mutating func setWorse(_ key: Key, _ value: Double, _ note: String) {
        if let other = values[key] {
            let isWorse = if case .atLeast = Self.target(key) { value < other } else { value > other }
            guard isWorse else { return }
        }
        set(key, value, note)
    }

    private static func target(_ key: Key) -> Target {
        switch key {
        case .unary_per_s: .atLeast(6000)
        case .batch_per_s: .atLeast(12000)
        case .library_per_s, .library_lone_p50_ms: .none
        case .default_share: .atLeast(0.95)
        case .default_tenancy_share: .none
        case .inprocess_share, .inprocess_random_share: .atLeast(1)
        case .ack_p50_ms: .below(3)
        case .ack_p99_ms: .below(8)
        case .bare_flush_p50_ms: .none
        case .ready_to_leased_p99_ms: .below(10)
        case .rss_1m_mib: .below(700)
        case .lease_rate_1m_share: .atLeast(0.85)
        case .reopen_1_tenant_s: .below(0.5)
        case .reopen_100k_tenants_s: .below(1)
        case .neighbour_wait_ratio: .atMost(2)
        case .limit_free_share, .rate_free_share: .atLeast(0.8)
        case .limit_hot_share: .atLeast(0.6)
        case .handover_p99_ms: .none
        case .handover_flush_p99_ms: .atMost(5)
        case .deadlock_unfinished: .atMost(0)
        case .flood_neighbour_share: .atLeast(0.95)
        case .simulated_minutes_per_s: .atLeast(50)
        case .log_flush_p50_ms: .none
        case .log_flush_share: .atLeast(0.5)
        case .log_engine_ratio: .atLeast(1)
        case .log_checkpoint_share: .atLeast(0.9)
        case .retention_lease_share: .atLeast(0.9)
        case .retention_busy_per_s, .retention_idle_per_s: .none
        case .drop_lease_share, .drop_unary_share: .atLeast(0.9)
        case .drop_busy_rows_per_s: .none
        case .bulk_unary_share: .atLeast(0.9)
        case .bulk_busy_per_s, .bulk_cancel_per_s, .bulk_restart_per_s, .bulk_expedite_per_s, .bulk_cancel_again_per_s,
            .bulk_delete_per_s: .none
        }
    }

    func print(isQuick: Bool) {
        say("")
        say(
            Text.left("figure", 24) + Text.right("measured", 10) + "  " + Text.left("target", 9) + Text.left("verdict", 22)
                + "how")
        for key in Key.allCases {
            guard let value = values[key] else { continue }
            let row = Text.left(key.rawValue, 24) + Text.right(Self.text(value), 10) + "  "
                + Text.left(Self.words(Self.target(key)), 9) + Text.left(Self.verdict(value, Self.target(key)), 22)
            say(row + (notes[key] ?? ""))
        }
        if isQuick { say("Quick run: short windows, a tenth of the waiting jobs. The figures are not those of the targets.") }
        let fields = Key.allCases.map { "\"\($0.rawValue)\":\(values[$0].map(Self.text) ?? "null")" }
        say("BENCH {" + (fields + (isQuick ? ["\"quick\":true"] : [])).joined(separator: ",") + "}")
    }

    private static func text(_ value: Double) -> String {
        value.isFinite ? Text.number(value, value.magnitude >= 100 ? 0 : 3) : "null"
    }

    private static func words(_ target: Target) -> String {
        switch target {
        case .atLeast(let bound): ">= \(short(bound))"
        case .below(let bound): "< \(short(bound))"
        case .atMost(let bound): "<= \(short(bound))"
        case .none: ""
        }
    }

    private static func short(_ value: Double) -> String { String(format: "%g", value) }

    private static func verdict(_ value: Double, _ target: Target) -> String {
        let bound: Double
        switch target {
        case .atLeast(let least):
            guard value < least else { return "met" }
            bound = least
        case .below(let limit):
            guard value >= limit else { return "met" }
            bound = limit
        case .atMost(let most):
            guard value > most else { return "met" }
            bound = most
        case .none: return ""
        }
        return "missed by \(Text.number(abs(value - bound) / bound * 100, 0)) %"
    }
}
