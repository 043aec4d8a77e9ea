import SlateDBBinding

/// Where databases lie.
public struct ObjectStore: Sendable {
    let store: SlateDBBinding.ObjectStore
    /// The folder behind a store on local disk.
    let localRoot: String?
    /// Whether it is gone with the process.
    let isMemory: Bool
    /// Names the store in messages and in the record of where a log lies.
    public let url: String

    /// A store that lives in this process only.
    public static func memory() throws(StorageError) -> ObjectStore {
        let store = try lifting { try SlateDBBinding.ObjectStoreBuilder(storeType: .inMemory).build() }
        return ObjectStore(store: store, localRoot: nil, isMemory: true, url: "memory:///")
    }

    /// A folder, which must exist.
    public static func local(_ root: String) throws(StorageError) -> ObjectStore {
        let store = try lifting {
            let builder = SlateDBBinding.ObjectStoreBuilder(storeType: .local)
            try builder.withConfig(key: "local_path", value: root)
            return try builder.build()
        }
        return ObjectStore(store: store, localRoot: root, isMemory: false, url: "file://" + root)
    }

    /// A bucket: `s3://bucket`, `gs://bucket` or `az://container`. Credentials come from `configuration`, whose keys are
    /// those of the Rust `object_store` crate, such as `access_key_id`, `endpoint` and `allow_http`.
    public static func bucket(_ url: String, _ configuration: [String: String] = [:]) throws(StorageError) -> ObjectStore {
        let type: ObjectStoreType
        switch url.prefix(while: { $0 != ":" }) {
        case "s3": type = .s3
        case "gs": type = .gcs
        case "az": type = .azure
        default: throw .invalid("\(url): the store's URL must begin with s3://, gs:// or az://")
        }
        let store = try lifting {
            let builder = SlateDBBinding.ObjectStoreBuilder(storeType: type)
            try builder.withUrl(url: url)
            for (key, value) in configuration.sorted(by: { $0.key < $1.key }) { try builder.withConfig(key: key, value: value) }
            return try builder.build()
        }
        return ObjectStore(store: store, localRoot: nil, isMemory: false, url: url)
    }
}
