/// How servers find each other.
package struct CoordinationSettings: SettingsSection {
    package let name = "coordination"
    package let about = "What others are told of this server, and how servers of a cluster find each other."

    package let advertisedAddress = Setting<String?>(
        "coordination.advertised_grpc_addr", .calledAddress,
        absent: "where it listens; the host's name when it listens on all interfaces",
        .option("advertise", nil, "host:port"), help: "what clients are told to call"
    )
    package let shardCount = Setting<Int?>(
        "coordination.initial_shard_count", .number(1...1024), absent: "1; 8 with tenancy", .option("shards", nil, "count"),
        help: "shards of a new data location; an existing one keeps what it has"
    )
    package let backend = Setting<String>(
        "coordination.backend", .word(["none", "etcd", "k8s"]), default: "none",
        help: "what keeps the members of a cluster; there are none yet, and any but none is refused"
    )
    package let clusterPrefix = Setting<String>(
        "coordination.cluster_prefix", .text, default: "silo", .unused(Self.clusters), help: "what its keys begin with"
    )
    package let leaseTime = Setting<Duration>(
        "coordination.lease_ttl_secs", .duration(1000...Milliseconds.hour, unit: Milliseconds.second), default: .seconds(10),
        .unused(Self.clusters),
        help: "how long a member counts that is not heard of"
    )
    package let etcdEndpoints = Setting<[String]>(
        "coordination.etcd_endpoints", .texts, default: ["http://127.0.0.1:2379"], .unused(Self.clusters), help: "where etcd is"
    )
    package let namespace = Setting<String>(
        "coordination.k8s_namespace", .text, default: "default", .unused(Self.clusters),
        help: "the Kubernetes namespace of the leases"
    )
    package let rings = Setting<[String]>(
        "coordination.placement_rings", .texts, default: [], .unused(Self.clusters),
        help: "groups of servers that this one belongs to; none: the default one"
    )
    package let nodeID = Setting<String?>(
        "coordination.node_id", Self.name, absent: "a new one at every start",
        help: "the server's own name, which GetClusterInfo tells"
    )

    private static let clusters = "there are no clusters yet: a server by itself has all shards of its place"
    private static let name = SettingForm.checked(wanted: "1 to 128 visible characters") { text in
        (1...128).contains(text.unicodeScalars.count)
            && text.unicodeScalars.allSatisfy { ![.control, .format].contains($0.properties.generalCategory) }
    }
}
