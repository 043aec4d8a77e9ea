import Foundation

/// The memory that this process may use, in bytes: the machine's, or what its control groups or its own limit allow when
/// that is less.
enum MachineMemory {
    static var bytes: Int {
        let machine = Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE)))
        return min(machine, ownLimit, groupLimit { try? String(contentsOfFile: $0, encoding: .utf8) })
    }

    /// `ulimit -v`.
    private static var ownLimit: Int {
        var limit = rlimit()
        return getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 ? Int(clamping: limit.rlim_cur) : .max
    }

    /// The smallest limit of the control groups that the process is in, of either version; `Int.max` without one.
    /// - Parameter read: gives a file's text; nil when there is none.
    static func groupLimit(_ read: (String) -> String?) -> Int {
        let groups = (read("/proc/self/cgroup") ?? "").split(separator: "\n").compactMap { line -> (String, String, String)? in
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { return nil }
            if parts[0] == "0", parts[1].isEmpty { return ("/sys/fs/cgroup", String(parts[2]), "memory.max") }
            guard parts[1].split(separator: ",").contains("memory") else { return nil }
            return ("/sys/fs/cgroup/memory", String(parts[2]), "memory.limit_in_bytes")
        }
        var smallest = Int.max
        for (root, path, file) in groups {
            // The limits of the groups above hold too. Inside a container the path may name what only the host sees.
            var names = path.split(separator: "/")
            while true {
                let text = read(([Substring(root)] + names + [Substring(file)]).joined(separator: "/"))
                if let limit = text.flatMap({ Int($0.trimmingCharacters(in: .whitespacesAndNewlines)) }) {
                    smallest = min(smallest, limit)
                }
                guard names.popLast() != nil else { break }
            }
        }
        return smallest
    }
}
