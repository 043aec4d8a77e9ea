import Foundation
import SiloConfiguration
import TestSupport
import Testing

/// The commented examples are files that a server takes.
@Suite(.timeLimit(.minutes(10))) struct ExampleTests {
    private static let folder = "\(Repository.path)/examples/config"
    private static let environment = ["POD_IP": "10.0.0.1", "POD_NAME": "silo-0", "SILO_TOKEN": "hushhush"]

    @Test(arguments: [
        ("laptop", "memory:"), ("one-server", "/var/lib/silo"), ("s3", "s3://my-bucket/silo"), ("gcs", "gs://my-bucket/silo"),
        ("cluster", "s3://my-bucket/silo"),
    ])
    func anExampleIsLoadedWhole(name: String, place: String) throws {
        let loaded = try LoadedConfiguration(file: "\(Self.folder)/\(name).toml", nil, environment: Self.environment)
        #expect(loaded.configuration.dataPlace == place)
    }

    @Test func noExampleIsLeftOut() throws {
        #expect(try FileManager.default.contentsOfDirectory(atPath: Self.folder).count == 5)
    }

    /// Files as upstream's users have them, two nodes with etcd on one machine, and Kubernetes with a log on local disk: all of
    /// it is taken but that they are members of a cluster.
    @Test(arguments: ["8081", "8082"]) func aNodeOfUpstreamsWithEtcdIsRefusedForThatAlone(port: String) throws {
        let text =
            """
            [server]
            grpc_addr = "127.0.0.1:7450"
            dev_mode = true
            [coordination]
            backend = "etcd"
            etcd_endpoints = ["http://127.0.0.1:2379"]
            initial_shard_count = 8
            [tenancy]
            enabled = true
            [gubernator]
            address = "127.0.0.1:1051"
            [webui]
            addr = "127.0.0.1:\(port)"
            [database]
            backend = "fs"
            path = "/tmp/silo/%shard%"
            completed_job_expire_s = 60
            terminal_job_expire_s = 900
            counter_reconciliation_seconds = 30
            periodic_full_compaction_s = 60
            """
        let mistakes = try Loading.mistakes(text)
        #expect(mistakes.count == 1 && mistakes[0].hasPrefix("5:11: coordination.backend must be none, not etcd"), "\(mistakes)")
        let configuration = try Loading(text.replacing("\"etcd\"", with: "\"none\"")).load()
        #expect(configuration[Settings.database.completedRetention] == .seconds(60) && configuration.dataPlace == "/tmp/silo")
    }

    @Test func aNodeOfUpstreamsOnKubernetesIsRefusedForThatAlone() throws {
        let text = """
            [server]
            grpc_addr = "0.0.0.0:7450"
            [coordination]
            backend = "k8s"
            k8s_namespace = "jobs"
            advertised_grpc_addr = "${POD_IP}:7450"
            node_id = "${POD_NAME}"
            [database]
            backend = "gcs"
            path = "bucket/silo/{shard}"
            apply_wal_on_close = true
            [database.wal]
            backend = "fs"
            path = "/data/wal/%shard%"
            [database.memory_cache]
            block_cache_bytes = 536870912
            meta_cache_bytes = 134217728
            [database.slatedb.compactor_options]
            poll_interval = "5s"
            """
        let mistakes = try Loading.mistakes(text, environment: Self.environment)
        #expect(mistakes.count == 1 && mistakes[0].hasPrefix("4:11: coordination.backend must be none, not k8s"), "\(mistakes)")
        let configuration = try Loading(text.replacing("\"k8s\"", with: "\"none\""), environment: Self.environment).load()
        #expect(configuration.dataPlace == "gs://bucket/silo" && configuration.logFolder == "/data/wal")
        #expect(configuration[Settings.coordination.advertisedAddress] == "10.0.0.1:7450")
        #expect(configuration[Settings.database.blockCacheBytes] == 512 << 20)
    }
}
