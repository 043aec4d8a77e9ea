import Foundation

/// How many files and connections the process may have open.
public enum DescriptorLimit {
    /// More serve nobody, and cost memory in every program that walks through them.
    private static let useful: rlim_t = 1_048_576

    /// Raises what is in force as far as the process may by itself: shells start programs with 1,024, and each connection
    /// takes one.
    public static func raise() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        let wanted = min(limit.rlim_max, useful)
        guard limit.rlim_cur < wanted else { return }
        limit.rlim_cur = wanted
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// What storage needs besides connections, for so many shards.
    static func reserve(shards: Int) -> Int { 64 + 32 * shards }
}
