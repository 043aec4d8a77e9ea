import CGRPC

extension Metadata {
    /// Copies what the C core received. The slices belong to the call, so it must still be alive.
    init(_ array: grpc_metadata_array) {
        self.init()
        guard let first = array.metadata else { return }
        for index in 0..<array.count {
            append(String(slice: &first[index].key), [UInt8](slice: &first[index].value))
        }
    }

    /// A copy for the C core, to be dropped with `cgrpc_metadata_drop`.
    /// - Returns: also the first key that may not be sent; such entries are left out.
    func copied() -> (cgrpc_metadata, illegalKey: String?) {
        var list = cgrpc_metadata_create(entries.count)
        var illegalKey: String?
        for entry in entries {
            var key = entry.key
            let isLegal = key.withUTF8 { key in
                entry.value.withUnsafeBytes { value in
                    guard let start = key.baseAddress else { return false }
                    return cgrpc_metadata_append(&list, start, key.count, value.baseAddress, value.count)
                }
            }
            if !isLegal { illegalKey = illegalKey ?? entry.key }
        }
        return (list, illegalKey)
    }
}
